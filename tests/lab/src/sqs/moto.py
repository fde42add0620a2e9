"""moto's SQS with two mistakes mended that no SQS makes, so that a test's loss is ours and not the server's.

It answers each request in a thread of its own and changes its lists without a lock, so that it loses and doubles messages
under load: here it does one thing at a time. And it counts the longest time that a message can be invisible from when the
message was sent, where SQS counts from when it was received: here too, and how long that is can be said.

Its arguments: that time in seconds, then those of `moto_server`.
"""

import sys
import threading

from moto.core.utils import unix_time, unix_time_millis
from moto.server import main
from moto.sqs import models

longest = int(sys.argv.pop(1))
one_at_a_time = threading.RLock()
backend = models.SQSBackend


def alone(method):
    def locked(self, *args, **kwargs):
        with one_at_a_time:
            return method(self, *args, **kwargs)

    return locked


for name in (
    "change_message_visibility_batch",
    "create_queue",
    "delete_message",
    "delete_message_batch",
    "delete_queue",
    "get_queue_attributes",
    "list_queues",
    "purge_queue",
    "send_message",
    "send_message_batch",
    "tag_queue",
    "untag_queue",
):
    setattr(backend, name, alone(getattr(backend, name)))

receive_now = alone(backend.receive_message)


def receive_message(self, queue_name, count, wait_seconds_timeout, visibility_timeout, message_attribute_names=None):
    end = unix_time() + wait_seconds_timeout
    while True:
        found = receive_now(self, queue_name, count, 0, visibility_timeout, message_attribute_names)
        left = end - unix_time()
        if found or left <= 0:
            return found
        self.get_queue(queue_name).wait_for_messages(min(left, 0.2))


received = models.Message.mark_received


def mark_received(self, visibility_timeout=None):
    received(self, visibility_timeout)
    self.received_at = unix_time_millis()


hide = alone(backend.change_message_visibility)


def change_message_visibility(self, queue_name, receipt_handle, visibility_timeout):
    with one_at_a_time:
        for message in self.get_queue(queue_name)._messages:
            if message.had_receipt_handle(receipt_handle):
                until = unix_time_millis() + int(visibility_timeout) * 1000
                if until - message.received_at > longest * 1000:
                    raise models.InvalidParameterValue(
                        f"Value {visibility_timeout} for parameter VisibilityTimeout is invalid. Reason: Total "
                        f"VisibilityTimeout for the message is beyond the limit [{longest} seconds]"
                    )
                # What it was sent at is what moto itself looks at.
                sent, message.sent_timestamp = message.sent_timestamp, int(message.received_at)
                try:
                    return hide(self, queue_name, receipt_handle, visibility_timeout)
                finally:
                    message.sent_timestamp = sent
        raise models.ReceiptHandleIsInvalid


backend.receive_message = receive_message
backend.change_message_visibility = change_message_visibility
models.Message.mark_received = mark_received

main()
