/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * nfnetlink_queue, see linux/netfilter/nfnetlink_queue.h: configuration, packets, verdicts. The
 * payload of a message is what somebody in the pod sent; the frame around it is the kernel's.
 *
 * A packet that is not understood goes on as if there were no queue. When the socket is closed,
 * the kernel drops what waits (the senders try again) and lets new packets pass.
 *
 * System calls: recvmmsg, sendto, recvfrom, setsockopt, close.
 */

#include "uplink-queue.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_queue.h>
#include <linux/netlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "uplink-marks.h"

/* IPv6's and TCP's headers with all options fit. */
#define COPY_SIZE 256
#define MESSAGE_SIZE 1024
#define BATCH 16
/* SYNs that wait at once; the quotas of flows are below it. */
#define QUEUE_LENGTH 16384
#define RECEIVE_BUFFER (4 * 1024 * 1024)
/* Messages before others have their turn. */
#define TURN_BATCHES 8

struct uplink_queue {
	struct uplink_watch watch;
	struct uplink_work work;
	struct uplink_loop *loop;
	int socket;
	queue_handler handler;
	void *opaque;
	char buffers[BATCH][MESSAGE_SIZE] __attribute__((aligned(8)));
};

static struct nlmsghdr *begin(void *buffer, uint16_t type)
{
	struct nlmsghdr *header = mnl_nlmsg_put_header(buffer);
	struct nfgenmsg *body;

	header->nlmsg_type = (uint16_t)(NFNL_SUBSYS_QUEUE << 8 | type);
	header->nlmsg_flags = NLM_F_REQUEST;
	body = mnl_nlmsg_put_extra_header(header, sizeof(*body));
	body->nfgen_family = AF_UNSPEC;
	body->version = NFNETLINK_V0;
	body->res_id = htons(MARK_QUEUE);
	return header;
}

int uplink_queue_decide(struct uplink_queue *queue, uint32_t id, enum queue_verdict verdict)
{
	static const uint32_t marks[] = {
		[QUEUE_TAKE] = MARK_TAKE,
		[QUEUE_RESET] = MARK_RESET,
		[QUEUE_NO_ROUTE] = MARK_NO_ROUTE,
		[QUEUE_NO_HOST] = MARK_NO_HOST,
		[QUEUE_PROHIBITED] = MARK_PROHIBITED,
	};
	char buffer[256] __attribute__((aligned(8)));
	struct nlmsghdr *header = begin(buffer, NFQNL_MSG_VERDICT);
	struct nfqnl_msg_verdict_hdr body = {
		.verdict = htonl(verdict == QUEUE_DROP ? NF_DROP : NF_ACCEPT),
		.id = htonl(id),
	};

	mnl_attr_put(header, NFQA_VERDICT_HDR, sizeof(body), &body);
	if (verdict > QUEUE_PASS)
		mnl_attr_put_u32(header, NFQA_MARK, htonl(marks[verdict]));
	else if (verdict == QUEUE_PASS)
		mnl_attr_put_u32(header, NFQA_MARK, 0);
	return send(queue->socket, header, header->nlmsg_len, MSG_DONTWAIT) < 0 ? -errno : 0;
}

struct attributes {
	const struct nlattr *packet;
	const struct nlattr *payload;
};

static int on_attribute(const struct nlattr *attribute, void *opaque)
{
	struct attributes *attributes = opaque;

	if (mnl_attr_get_type(attribute) == NFQA_PACKET_HDR)
		attributes->packet = attribute;
	else if (mnl_attr_get_type(attribute) == NFQA_PAYLOAD)
		attributes->payload = attribute;
	return MNL_CB_OK;
}

/* Return: 0, -ENOMSG for one that has no packet's id. */
static int parse_message(const struct nlmsghdr *header, queue_handler handler, void *opaque)
{
	struct uplink_packet packet = {};
	struct attributes attributes = {};
	struct nfqnl_msg_packet_hdr body;

	if (header->nlmsg_type != (NFNL_SUBSYS_QUEUE << 8 | NFQNL_MSG_PACKET) ||
		header->nlmsg_len < MNL_NLMSG_HDRLEN + sizeof(struct nfgenmsg) ||
		mnl_attr_parse(header, sizeof(struct nfgenmsg), on_attribute, &attributes) < 0 ||
		!attributes.packet || mnl_attr_get_payload_len(attributes.packet) < sizeof(body))
		return -ENOMSG;
	memcpy(&body, mnl_attr_get_payload(attributes.packet), sizeof(body));
	if (attributes.payload)
		(void)uplink_packet_parse(mnl_attr_get_payload(attributes.payload),
			mnl_attr_get_payload_len(attributes.payload), &packet);
	handler(opaque, ntohl(body.packet_id), &packet);
	return 0;
}

int uplink_queue_parse(const void *data, size_t length, queue_handler handler, void *opaque)
{
	const struct nlmsghdr *header = data;
	int left = (int)length;

	/* To libmnl a length of two gigabytes and more is a negative one, and fits. */
	for (; mnl_nlmsg_ok(header, left) && header->nlmsg_len <= (uint32_t)left;
		header = mnl_nlmsg_next(header, &left)) {
		int r = parse_message(header, handler, opaque);

		if (r < 0)
			return r;
	}
	return 0;
}

/* Who has CAP_NET_ADMIN in the pod's netns can send to this socket as well (netlink(7)). */
static bool is_of_kernel(const struct sockaddr_nl *sender)
{
	return sender->nl_pid == 0;
}

static int receive_batch(struct uplink_queue *queue)
{
	struct mmsghdr messages[BATCH] = {};
	struct sockaddr_nl senders[BATCH] = {};
	struct iovec iovs[BATCH];
	int n;

	for (int i = 0; i < BATCH; i++) {
		iovs[i] = (struct iovec){queue->buffers[i], MESSAGE_SIZE};
		messages[i].msg_hdr.msg_name = &senders[i];
		messages[i].msg_hdr.msg_namelen = sizeof(senders[i]);
		messages[i].msg_hdr.msg_iov = &iovs[i];
		messages[i].msg_hdr.msg_iovlen = 1;
	}
	n = recvmmsg(queue->socket, messages, BATCH, MSG_DONTWAIT, NULL);
	for (int i = 0; i < n; i++)
		if (is_of_kernel(&senders[i]) && !(messages[i].msg_hdr.msg_flags & MSG_TRUNC))
			(void)uplink_queue_parse(queue->buffers[i], messages[i].msg_len,
				queue->handler, queue->opaque);
	return n;
}

static void receive(struct uplink_queue *queue)
{
	for (int i = 0; i < TURN_BATCHES; i++)
		if (receive_batch(queue) < BATCH)
			return;
	uplink_loop_defer(queue->loop, &queue->work);
}

static void on_ready(struct uplink_watch *watch, uint32_t events)
{
	receive(container_of(watch, struct uplink_queue, watch));
}

static void on_turn(struct uplink_work *work)
{
	receive(container_of(work, struct uplink_queue, work));
}

/* Return: 0 or the kernel's answer. */
static int transact(int socket, struct nlmsghdr *header)
{
	union {
		struct nlmsghdr header;
		char space[MESSAGE_SIZE];
	} answer;
	struct sockaddr_nl sender = {};
	socklen_t size = sizeof(sender);
	const struct nlmsgerr *result;
	ssize_t n;

	header->nlmsg_flags |= NLM_F_ACK;
	if (send(socket, header, header->nlmsg_len, 0) < 0)
		return -errno;
	do {
		n = recvfrom(socket, &answer, sizeof(answer), 0, (struct sockaddr *)&sender, &size);
	} while (n < 0 ? errno == EINTR : !is_of_kernel(&sender));
	if (n < 0)
		return -errno;
	if (!mnl_nlmsg_ok(&answer.header, (int)n) || answer.header.nlmsg_type != NLMSG_ERROR ||
		answer.header.nlmsg_len < MNL_NLMSG_HDRLEN + sizeof(*result))
		return -EPROTO;
	result = mnl_nlmsg_get_payload(&answer.header);
	return result->error;
}

static int bind_queue(int socket)
{
	char buffer[256] __attribute__((aligned(8)));
	const struct nfqnl_msg_config_cmd command = {.command = NFQNL_CFG_CMD_BIND};
	struct nlmsghdr *header = begin(buffer, NFQNL_MSG_CONFIG);

	mnl_attr_put(header, NFQA_CFG_CMD, sizeof(command), &command);
	return transact(socket, header);
}

static int configure_queue(int socket)
{
	char buffer[256] __attribute__((aligned(8)));
	const struct nfqnl_msg_config_params parameters = {
		.copy_range = htonl(COPY_SIZE),
		.copy_mode = NFQNL_COPY_PACKET,
	};
	struct nlmsghdr *header = begin(buffer, NFQNL_MSG_CONFIG);

	mnl_attr_put(header, NFQA_CFG_PARAMS, sizeof(parameters), &parameters);
	mnl_attr_put_u32(header, NFQA_CFG_QUEUE_MAXLEN, htonl(QUEUE_LENGTH));
	return transact(socket, header);
}

int uplink_queue_new(struct uplink_loop *loop, int socket, queue_handler handler, void *opaque,
	struct uplink_queue **ret, struct err *err)
{
	const struct timeval patience = {.tv_sec = 1};
	const int one = 1, size = RECEIVE_BUFFER;
	struct uplink_queue *queue;
	int r;

	(void)setsockopt(socket, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	/* Who floods it must not make its start wait for ever. */
	(void)setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	r = bind_queue(socket);
	if (r == 0)
		r = configure_queue(socket);
	/* A full buffer is told by the packets that time out, not by an error of recvmsg(2). */
	(void)setsockopt(socket, SOL_NETLINK, NETLINK_NO_ENOBUFS, &one, sizeof(one));
	if (r < 0)
		return err_set(err, r, "the kernel's packet queue (nfnetlink_queue): %s", strerror(-r));
	queue = calloc(1, sizeof(*queue));
	if (!queue)
		return err_oom(err);
	queue->loop = loop;
	queue->socket = socket;
	queue->handler = handler;
	queue->opaque = opaque;
	queue->watch.ready = on_ready;
	queue->work.run = on_turn;
	r = uplink_loop_add(loop, socket, EPOLLIN | EPOLLET, &queue->watch);
	if (r < 0) {
		free(queue);
		return err_set(err, r, "watching the kernel's packet queue: %s", strerror(-r));
	}
	*ret = queue;
	return 0;
}

void uplink_queue_free(struct uplink_queue *queue)
{
	if (!queue)
		return;
	uplink_loop_remove(queue->loop, queue->socket, &queue->watch);
	close(queue->socket);
	free(queue);
}
