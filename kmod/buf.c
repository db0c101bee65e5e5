// SPDX-License-Identifier: GPL-2.0
/*
 * The memory of records on their way out: pieces of pages that TCP can take as
 * they are.  Knows no socket and no key.
 */
#include <linux/slab.h>
#include "kssl.h"

/**
 * kssl_buf_reserve() - make room at the end of a record
 * @buf: record
 * @min: bytes that must be contiguous
 * @want: bytes wanted
 * @last: this ends the record; for anything else one piece is kept back
 * @page: (out) where
 * @offset: (out) where in @page
 *
 * The pages are the task's, so an idle connection keeps none.
 *
 * Context: Process context, may sleep.
 * Return: bytes of room, contiguous, at most @want; %-ENOMEM; %-ENOBUFS if the
 * record is in too many pieces already.
 */
int kssl_buf_reserve(struct kssl_buf *buf, unsigned int min, unsigned int want, bool last,
		     struct page **page, unsigned int *offset)
{
	unsigned int segs_max = KSSL_BUF_SEGS - !last;
	struct page_frag *frag = &current->task_frag;
	struct bio_vec *seg;

	if (!skb_page_frag_refill(min, frag, GFP_KERNEL))
		return -ENOMEM;
	want = min_t(unsigned int, want, frag->size - frag->offset);
	seg = buf->segs ? &buf->seg[buf->segs - 1] : NULL;
	if (seg && seg->bv_page == frag->page &&
	    seg->bv_offset + seg->bv_len == frag->offset) {
		seg->bv_len += want;
	} else {
		if (buf->segs >= segs_max)
			return -ENOBUFS;
		get_page(frag->page);
		bvec_set_page(&buf->seg[buf->segs++], frag->page, want, frag->offset);
	}
	*page = frag->page;
	*offset = frag->offset;
	frag->offset += want;
	return want;
}

/**
 * kssl_buf_trim() - give back the end of a record
 * @buf: record
 * @len: bytes, at most what was reserved
 */
void kssl_buf_trim(struct kssl_buf *buf, unsigned int len)
{
	struct page_frag *frag = &current->task_frag;

	while (len) {
		struct bio_vec *last = &buf->seg[buf->segs - 1];
		unsigned int n = min(len, last->bv_len);

		/* Or what comes next would be a piece of its own. */
		if (last->bv_page == frag->page &&
		    last->bv_offset + last->bv_len == frag->offset)
			frag->offset -= n;
		last->bv_len -= n;
		len -= n;
		if (!last->bv_len) {
			put_page(last->bv_page);
			buf->segs--;
		}
	}
}

/**
 * kssl_buf_new() - start a record
 * @prefix_len: bytes to keep free for header and explicit nonce, contiguous
 * @control: the record is not application data
 *
 * Context: Process context, may sleep.
 * Return: the buffer, or NULL without memory.
 */
struct kssl_buf *kssl_buf_new(unsigned int prefix_len, bool control)
{
	struct kssl_buf *buf = kzalloc(sizeof(*buf), GFP_KERNEL);
	struct page *page;
	unsigned int offset;

	if (!buf)
		return NULL;
	buf->control = control;
	if (prefix_len &&
	    kssl_buf_reserve(buf, prefix_len, prefix_len, false, &page, &offset) < 0) {
		kfree(buf);
		return NULL;
	}
	return buf;
}

/**
 * kssl_buf_add() - append content from kernel memory
 * @buf: record
 * @data: content
 * @len: its length
 *
 * Context: Process context, may sleep.
 * Return: 0, %-ENOMEM, or %-ENOBUFS if memory is too scattered.
 */
int kssl_buf_add(struct kssl_buf *buf, const void *data, unsigned int len)
{
	while (len) {
		struct page *page;
		unsigned int offset;
		int n = kssl_buf_reserve(buf, 1, len, false, &page, &offset);

		if (n < 0)
			return n;
		memcpy(page_address(page) + offset, data, n);
		buf->payload_len += n;
		data += n;
		len -= n;
	}
	return 0;
}

/**
 * kssl_buf_compact() - move a record's content into as few pieces as memory allows
 * @buf: record, not sealed
 * @prefix_len: as for kssl_buf_new()
 *
 * Context: Process context, may sleep.
 * Return: 0, or %-ENOMEM or %-ENOBUFS, @buf is as before.
 */
int kssl_buf_compact(struct kssl_buf *buf, unsigned int prefix_len)
{
	struct kssl_buf *fresh = kssl_buf_new(prefix_len, buf->control);
	unsigned int i, skip = prefix_len;
	int ret = 0;

	if (!fresh)
		return -ENOMEM;
	for (i = 0; !ret && i < buf->segs; i++, skip = 0) {
		struct bio_vec *seg = &buf->seg[i];

		ret = kssl_buf_add(fresh, page_address(seg->bv_page) + seg->bv_offset + skip,
				   seg->bv_len - skip);
	}
	if (!ret) {
		swap(fresh->segs, buf->segs);
		for (i = 0; i < KSSL_BUF_SEGS; i++)
			swap(fresh->seg[i], buf->seg[i]);
	}
	kssl_buf_free(fresh);
	return ret;
}

/**
 * kssl_buf_free() - drop a record
 * @buf: record or NULL
 */
void kssl_buf_free(struct kssl_buf *buf)
{
	unsigned int i;

	if (!buf)
		return;
	for (i = 0; i < buf->segs; i++)
		put_page(buf->seg[i].bv_page);
	kfree(buf);
}

/**
 * kssl_buf_free_list() - drop a list of records
 * @list: list of struct kssl_buf
 */
void kssl_buf_free_list(struct list_head *list)
{
	struct kssl_buf *buf, *next;

	list_for_each_entry_safe(buf, next, list, list) {
		list_del(&buf->list);
		kssl_buf_free(buf);
	}
}
