/* SPDX-License-Identifier: Apache-2.0 */
/* hash.h: a checksum for bytes on disk and a hash for tables. Stateless; any thread. */
#ifndef WEFT_CORE_HASH_H
#define WEFT_CORE_HASH_H

#include "core/slice.h"

/* CRC-32C (Castagnoli, RFC 3720 appendix B.4) of `len` bytes, continuing from `crc` (0 to begin). Uses the
 * processor's instruction where there is one. */
uint32_t weft_crc32c(uint32_t crc, const void *data, size_t len);

/* The same without the instruction: for the test that compares them. */
uint32_t weft_crc32c_portable(uint32_t crc, const void *data, size_t len);

/* XXH3, 64 bits. Not for adversaries unless `seed` is a secret. */
uint64_t weft_hash64(struct weft_slice bytes, uint64_t seed);

#endif
