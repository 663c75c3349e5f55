/* SPDX-License-Identifier: Apache-2.0 */
/* page.h: the status page: one HTML document that asks /api/v1/status for its figures. */
#ifndef WEFT_AGENT_PAGE_H
#define WEFT_AGENT_PAGE_H

extern const char weft_page_html[];

#endif
