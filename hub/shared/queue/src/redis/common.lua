-- Comes before every other script here: the keys of a lane, the server's clock, and the moves that several scripts make.
--
-- KEYS[1] is always the lane's name, which is also the key of the list that strangers push to. All other keys begin
-- with `{lane}:`, so they share the list's cluster slot and can never be a lane's name, which holds no brace.
--   {lane}:ready:high|normal|low   streams with the group `farm`: one entry per message, which stays until it is settled
--   {lane}:again:high|normal|low   sorted sets by place: delivered before and ready again; they go before the stream
--   {lane}:delayed                 sorted set by the time they become ready
--   {lane}:leases                  sorted set by the time the lease ends
--   {lane}:message:<id>            hash: body, priority, place, published, attempts; entry once delivered; nonce while leased
--   {lane}:dead                    stream of dead letters
--   {lane}:seen:<dedupe key>       the id of the message that had the key
--   {lane}:done:<call>             for some seconds: this call was carried out
--   {lane}:nothing                 never there; see even_if_full
--   {lane}:bell                    stream of one entry: a new one when something became ready, for those who wait
-- A lease is nonce plus deadline and not the group's own idle time, because each lease has its own length and a worker
-- that lost its lease must be told so.

local lane = KEYS[1]
local GROUP, CONSUMER = 'farm', 'worker'
local PRIORITIES = {'high', 'normal', 'low'}
-- How many due messages one call moves at most, so that no call is slow.
local SWEEP = 100

local function key(name) return '{' .. lane .. '}:' .. name end
local function message_key(id) return key('message:' .. id) end

local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)

-- A server that has reached its maxmemory refuses a script whose first write may take memory, and lets one go on that has
-- written anything. So either of these is the first write of a script that could go both ways; both change nothing.
-- What is held must be kept, settled and told of on a full server too, or it is lost to its worker and never emptied.
local function even_if_full() redis.call('DEL', key('nothing')) end
local function unless_full() redis.call('SET', key('nothing'), '', 'XX') end

local function ring()
  redis.call('XADD', key('bell'), 'MAXLEN', '1', '*', 'rung', '1')
end

-- Puts a message that was never delivered at the end of its line.
local function enqueue(id, priority)
  redis.call('XADD', key('ready:' .. priority), '*', 'message', id)
end

-- Puts a message back in line: at its old place if it was delivered before.
local function requeue(id)
  local message = redis.call('HMGET', message_key(id), 'priority', 'place', 'entry')
  if not message[1] then return end
  if message[3] then
    redis.call('ZADD', key('again:' .. message[1]), message[2], id)
  else
    enqueue(id, message[1])
  end
end

-- Puts in line what waited out its delay or lost its lease.
local function sweep()
  for _, set in ipairs({'delayed', 'leases'}) do
    for _, id in ipairs(redis.call('ZRANGEBYSCORE', key(set), '-inf', now, 'LIMIT', 0, SWEEP)) do
      redis.call('ZREM', key(set), id)
      redis.call('HDEL', message_key(id), 'nonce')
      requeue(id)
    end
  end
end

-- Stores a new message and puts it in line, or aside until its delay is over.
local function store(id, body, priority, delay)
  redis.call('HSET', message_key(id), 'body', body, 'priority', priority, 'place', now + delay, 'published', now,
    'attempts', 0)
  if delay > 0 then
    redis.call('ZADD', key('delayed'), now + delay, id)
  else
    enqueue(id, priority)
  end
end

-- Whether the lease with this nonce still holds the message.
local function holds(id, nonce)
  local deadline = redis.call('ZSCORE', key('leases'), id)
  return deadline and tonumber(deadline) > now and redis.call('HGET', message_key(id), 'nonce') == nonce
end

-- A call whose answer was lost on the way is repeated under the same name, and must then be told that it was done.
local function done(call)
  redis.call('SET', key('done:' .. call), 1, 'PX', 10000)
  return 1
end
local function was_done(call) return redis.call('EXISTS', key('done:' .. call)) end

-- Removes every trace of a message.
local function forget(id)
  local message = redis.call('HMGET', message_key(id), 'priority', 'entry')
  local stream = key('ready:' .. message[1])
  redis.call('XACK', stream, GROUP, message[2])
  redis.call('XDEL', stream, message[2])
  redis.call('ZREM', key('leases'), id)
  redis.call('DEL', message_key(id))
end
