/* SPDX-License-Identifier: Apache-2.0 */
/* certificates.h: keys and certificates made for one test run: an authority, a server ("localhost", 127.0.0.1) and a
 * client that it has signed, and a client that signed itself. PEM files in a directory of their own. */
#ifndef WEFT_TESTS_CERTIFICATES_H
#define WEFT_TESTS_CERTIFICATES_H

struct certificates {
    char dir[64];
    char ca[96], server_cert[96], server_key[96], client_cert[96], client_key[96], stranger_cert[96], stranger_key[96];
};

void certificates_make(struct certificates *c);
void certificates_remove(const struct certificates *c);

#endif
