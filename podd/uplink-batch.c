/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Datagrams and errors: see uplink-batch.h.
 *
 * System calls: recvmmsg, recvmsg.
 */

#include "uplink-batch.h"

#include <errno.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <stdlib.h>
#include <time.h>
#include <linux/errqueue.h>

#include "cleanup.h"
#include "uplink-frame.h"

#define BUFFER_SIZE (UPLINK_FRAME_UDP_HEADERS + 65535)
#define ERRORS_MAX 16
/* Bytes of a datagram that an error comes with. */
#define HEAD_MAX 256

/* Return: how many there were, or -errno. */
static int receive_once(struct uplink_batch *batch, int fd, batch_handler handler, void *opaque)
{
	struct mmsghdr messages[UPLINK_BATCH] = {};
	struct sockaddr_storage names[UPLINK_BATCH];
	struct iovec iovs[UPLINK_BATCH];
	char control[UPLINK_BATCH][CMSG_SPACE(sizeof(struct in6_pktinfo))]
		__attribute__((aligned(8)));
	int n;

	for (size_t i = 0; i < UPLINK_BATCH; i++) {
		iovs[i].iov_base = batch->buffers + i * BUFFER_SIZE + UPLINK_FRAME_UDP_HEADERS;
		iovs[i].iov_len = BUFFER_SIZE - UPLINK_FRAME_UDP_HEADERS;
		messages[i].msg_hdr = (struct msghdr){
			.msg_name = &names[i],
			.msg_namelen = sizeof(names[i]),
			.msg_iov = &iovs[i],
			.msg_iovlen = 1,
			.msg_control = control[i],
			.msg_controllen = sizeof(control[i]),
		};
	}
	n = recvmmsg(fd, messages, UPLINK_BATCH, MSG_DONTWAIT, NULL);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	for (int i = 0; i < n; i++)
		handler(opaque, &messages[i].msg_hdr, iovs[i].iov_base, messages[i].msg_len);
	return n;
}

int uplink_batch_receive(struct uplink_batch *batch, int fd, batch_handler handler, void *opaque)
{
	if (!batch->buffers)
		batch->buffers = malloc((size_t)UPLINK_BATCH * BUFFER_SIZE);
	if (!batch->buffers)
		return 0;
	for (int i = 0; i < UPLINK_BATCH_CALLS; i++) {
		int n = receive_once(batch, fd, handler, opaque);

		if (n < UPLINK_BATCH)
			return n < 0 ? n : 0;
	}
	return 1;
}

void uplink_batch_trim(struct uplink_batch *batch)
{
	free(take_ptr(batch->buffers));
}

/* Return: the error, or 0. */
static int find_error(struct msghdr *message)
{
	struct cmsghdr *part = CMSG_FIRSTHDR(message);

	for (; part; part = CMSG_NXTHDR(message, part))
		if ((part->cmsg_level == SOL_IP && part->cmsg_type == IP_RECVERR) ||
			(part->cmsg_level == SOL_IPV6 && part->cmsg_type == IPV6_RECVERR))
			return (int)((const struct sock_extended_err *)CMSG_DATA(part))->ee_errno;
	return 0;
}

void uplink_batch_errors(int fd,
	void (*each)(void *opaque, int error, const struct uplink_address *destination,
		const uint8_t *payload, size_t length),
	void *opaque)
{
	for (int i = 0; i < ERRORS_MAX; i++) {
		char control[512] __attribute__((aligned(8)));
		struct uplink_address destination;
		struct sockaddr_storage name = {};
		uint8_t head[HEAD_MAX];
		struct iovec iov = {head, sizeof(head)};
		struct msghdr message = {
			.msg_name = &name,
			.msg_namelen = sizeof(name),
			.msg_iov = &iov,
			.msg_iovlen = 1,
			.msg_control = control,
			.msg_controllen = sizeof(control),
		};
		ssize_t n = recvmsg(fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT);
		int error;

		if (n < 0)
			return;
		error = find_error(&message);
		if (error != 0 && uplink_from_sockaddr(&name, &destination))
			each(opaque, error, &destination, head, (size_t)n);
	}
}

bool uplink_batch_icmp(bool six, int error, uint8_t *ret_type, uint8_t *ret_code)
{
	*ret_type = six ? ICMP6_DST_UNREACH : ICMP_DEST_UNREACH;
	switch (error) {
	case ECONNREFUSED:
		*ret_code = six ? ICMP6_DST_UNREACH_NOPORT : ICMP_PORT_UNREACH;
		return true;
	case EHOSTUNREACH:
	case EHOSTDOWN:
		*ret_code = six ? ICMP6_DST_UNREACH_ADDR : ICMP_HOST_UNREACH;
		return true;
	case ENETUNREACH:
	case EINVAL: /* a route of type blackhole */
		*ret_code = six ? ICMP6_DST_UNREACH_NOROUTE : ICMP_NET_UNREACH;
		return true;
	case EACCES:
	case EPERM:
		*ret_code = six ? ICMP6_DST_UNREACH_ADMIN : ICMP_PKT_FILTERED;
		return true;
	default:
		return false;
	}
}
