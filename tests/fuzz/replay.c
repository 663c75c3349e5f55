/* SPDX-License-Identifier: Apache-2.0 */
/* replay.c: runs a fuzz target over every file of a corpus, once. It is the main() of fuzz targets in
 * builds without libFuzzer, so that each seed is also a regression test under every compiler. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int run_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        return -1;

    static uint8_t bytes[1 << 20];
    size_t n = fread(bytes, 1, sizeof bytes, f);
    fclose(f);

    uint8_t *exact = malloc(n ? n : 1); /* so that the sanitizer sees the true end */
    if (!exact)
        return -1;
    memcpy(exact, bytes, n);
    LLVMFuzzerTestOneInput(exact, n);
    free(exact);
    return 0;
}

int main(int argc, char **argv)
{
    int files = 0;
    DIR *dir = argc > 1 ? opendir(argv[1]) : NULL;

    if (!dir) {
        fprintf(stderr, "usage: %s CORPUS-DIRECTORY\n", argv[0]);
        return 2;
    }
    for (struct dirent *e; (e = readdir(dir));) {
        char path[4096];
        if (e->d_name[0] == '.')
            continue;
        (void)snprintf(path, sizeof path, "%s/%s", argv[1], e->d_name);
        if (run_file(path) < 0) {
            perror(path);
            return 1;
        }
        files++;
    }
    closedir(dir);
    printf("%d seeds replayed\n", files);
    return files > 0 ? 0 : 1;
}
