/* SPDX-License-Identifier: Apache-2.0 */
/* sigbus.h: a page of a mapped file that cannot be read or written (somebody cut the file, the disk failed) must not kill the
 * process.
 *
 * Ranges are guarded while they are mapped. A fault in one of them puts zeros in the place of the page, in private memory, and the
 * access goes on: whoever reads checks sums and finds that they are wrong, and what is written there never reaches the file, which
 * its owner learns from the hits. A fault anywhere else ends the process as if there were no guard.
 *
 *   (1) The handler takes no lock and calls nothing but mmap: the table of ranges is fixed, its entries are atomic.
 *   (2) A range is guarded before anybody uses it, and unguarded after the last use and before it is unmapped.
 *   (3) A thread that touches guarded memory must not block SIGBUS: the system kills a process for a fault that is blocked.
 *       weft_sigbus_block_others() blocks everything that may be blocked.
 *
 * The handler is installed with the first range. Any thread.
 */
#ifndef WEFT_CORE_SIGBUS_H
#define WEFT_CORE_SIGBUS_H

#include <stddef.h>

enum { WEFT_SIGBUS_RANGES = 16384 };

/* The number of the guard; or UV_ENOMEM when there is no room for one more, or the code of what failed at installing. */
int weft_sigbus_guard(void *base, size_t len);
void weft_sigbus_unguard(int guard); /* accepts a negative one */

/* How many pages of the range have been replaced since it was guarded. 0 for a negative guard. */
unsigned weft_sigbus_hits(int guard);

/* Blocks all signals for this thread but those of faults. */
void weft_sigbus_block_others(void);

#endif
