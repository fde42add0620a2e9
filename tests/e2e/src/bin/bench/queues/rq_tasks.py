"""A task of RQ that does nothing but note how long it waited; run as a program, it publishes: COUNT, and RATE a second."""

import os
import sys
import time


def note(sent):
    notes = os.open(os.environ["BENCH_NOTES"], os.O_WRONLY | os.O_APPEND)
    os.write(notes, b"%019d\n" % (time.time_ns() - sent))


def publish(count, rate):
    from redis import Redis
    from rq import Queue

    queue = Queue(connection=Redis.from_url(os.environ["BENCH_REDIS"]))
    began = time.monotonic()
    for number in range(count):
        if rate:
            time.sleep(max(0.0, began + number / rate - time.monotonic()))
        queue.enqueue("rq_tasks.note", time.time_ns(), result_ttl=0)


if __name__ == "__main__":
    publish(int(sys.argv[1]), float(sys.argv[2]))
