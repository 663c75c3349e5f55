// SPDX-License-Identifier: Apache-2.0
// Writes json/*.json from src/*.mjs. With --check: writes nothing, exits 1 when a committed file differs.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { finish } from './src/house.mjs';
import { agent } from './src/agent.mjs';

const folder = fileURLToPath(new URL('./json/', import.meta.url));
const check = process.argv.includes('--check');
const boards = [agent()].map(finish);
const wanted = new Set(boards.map((board) => `${board.uid}.json`));
let differing = 0;

for (const board of boards) {
  const path = `${folder}${board.uid}.json`;
  const text = JSON.stringify(board, null, 2) + '\n';
  const committed = existsSync(path) ? readFileSync(path, 'utf8') : '';
  if (committed === text) continue;
  differing++;
  if (check) console.error(`${path} is not what src/ says; run: npm run generate`);
  else writeFileSync(path, text);
}
for (const file of readdirSync(folder).filter((name) => !wanted.has(name))) {
  differing++;
  console.error(`${folder}${file} is nobody's; remove it`);
}
console.log(`${boards.length} dashboards, ${differing} ${check ? 'differing' : 'written'}`);
process.exit(check && differing > 0 ? 1 : 0);
