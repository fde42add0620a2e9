-- Tells an event, on a full server as well: a worker settles nothing whose end it could not tell of. There are only so many.
-- ARGV: body, how many are kept
-- Answers the event's id.

even_if_full()
return redis.call('XADD', key('events'), 'MAXLEN', '~', ARGV[2], '*', 'body', ARGV[1])
