/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Gives memory back that only start-up needed: see trim.h.
 *
 * Two kinds. Free heap goes by malloc_trim(3). Program text and constants go by MADV_DONTNEED:
 * they are clean pages of files, so the page cache has them and the next use maps them again.
 *
 * What must not go: pages that were written to, since a private mapping that was written has the
 * only copy. A read-only mapping may well have been written: the dynamic linker relocates the
 * part of the data segment that PT_GNU_RELRO names and makes it read-only afterwards, which in
 * /proc/self/maps looks like constants. So the program headers are asked instead, where such a
 * segment is still PF_W: only segments that never were writable are touched, and none at all of
 * an object with text relocations. This needs no /proc, which the uplink's sandbox does not have.
 */

#include "trim.h"

#include <link.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

/* The dynamic section of an object; relocations in text would have been written there. */
static bool has_text_relocations(const struct dl_phdr_info *object)
{
	for (int i = 0; i < object->dlpi_phnum; i++) {
		const ElfW(Phdr) *header = &object->dlpi_phdr[i];
		const ElfW(Dyn) * entry;

		if (header->p_type != PT_DYNAMIC)
			continue;
		entry = (const ElfW(Dyn) *)(object->dlpi_addr + header->p_vaddr); /* NOLINT */
		for (; entry->d_tag != DT_NULL; entry++)
			if (entry->d_tag == DT_TEXTREL ||
				(entry->d_tag == DT_FLAGS && entry->d_un.d_val & DF_TEXTREL))
				return true;
	}
	return false;
}

/* Return: 0, so that dl_iterate_phdr(3) goes on. */
static int trim_object(struct dl_phdr_info *object, size_t size, void *opaque)
{
	const uintptr_t *page = opaque;

	if (has_text_relocations(object))
		return 0;
	for (int i = 0; i < object->dlpi_phnum; i++) {
		const ElfW(Phdr) *header = &object->dlpi_phdr[i];
		uintptr_t start, end;

		if (header->p_type != PT_LOAD || header->p_flags & PF_W)
			continue;
		/* Whole pages of the segment only; a page that it shares with the next one is a
		 * mapping of its own for each, but there is nothing to win in them. */
		start = (object->dlpi_addr + header->p_vaddr + *page - 1) & ~(*page - 1);
		end = (object->dlpi_addr + header->p_vaddr + header->p_memsz) & ~(*page - 1);
		if (start < end)
			(void)madvise((void *)start, end - start, MADV_DONTNEED); /* NOLINT */
	}
	return 0;
}

void trim_memory(void)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

	(void)malloc_trim(0);
	(void)dl_iterate_phdr(trim_object, &page);
}
