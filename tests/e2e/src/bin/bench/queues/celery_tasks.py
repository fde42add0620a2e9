"""A task of Celery that does nothing but note how long it waited; run as a program, it publishes: COUNT, and RATE a second."""

import os
import sys
import time

from celery import Celery

app = Celery("bench", broker=os.environ["BENCH_REDIS"])
# As with ours and with RQ, nobody asks for a result.
app.conf.task_ignore_result = True
notes = os.open(os.environ["BENCH_NOTES"], os.O_WRONLY | os.O_APPEND)


@app.task(name="note")
def note(sent):
    os.write(notes, b"%019d\n" % (time.time_ns() - sent))


def publish(count, rate):
    began = time.monotonic()
    for number in range(count):
        if rate:
            time.sleep(max(0.0, began + number / rate - time.monotonic()))
        note.delay(time.time_ns())


if __name__ == "__main__":
    publish(int(sys.argv[1]), float(sys.argv[2]))
