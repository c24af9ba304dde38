/* Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
   SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

   Preloaded: a page or more of aligned_alloc, aligned as tensors are, ends where a
   page begins that nobody may touch, and is never freed. So a tensor that is read
   behind its end is a fault, and not a value that is used for nothing. */
#define _GNU_SOURCE
#include <stddef.h>
#include <sys/mman.h>

enum { kPage = 4096, kMost = 4096 };
static char *begins[kMost], *ends[kMost];
static int count;

extern void __libc_free(void *);
extern void *__libc_memalign(size_t, size_t);

void *aligned_alloc(size_t alignment, size_t bytes) {
  if (alignment != 64 || bytes < kPage)
    return __libc_memalign(alignment, bytes);
  size_t room = (bytes + kPage - 1) / kPage * kPage;
  int i = __sync_fetch_and_add(&count, 1);
  char *pages = mmap(NULL, room + kPage, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (i >= kMost || pages == MAP_FAILED ||
      mprotect(pages + room, kPage, PROT_NONE) != 0)
    return NULL;
  begins[i] = pages;
  ends[i] = pages + room;
  return pages + (room - bytes) / alignment * alignment;
}

void free(void *pointer) {
  for (int i = 0; i < count && i < kMost; ++i)
    if ((char *)pointer >= begins[i] && (char *)pointer < ends[i])
      return;
  __libc_free(pointer);
}
