/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Gives back what only start-up needed: free heap pages to the kernel, and the mapped pages of
 * program text and constants, which come back from the page cache when they are used again.
 * Never touches a page that was written to. */
void trim_memory(void);
