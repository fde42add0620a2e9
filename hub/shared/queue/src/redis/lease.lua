-- Leases the most urgent ready message of a lane.
-- ARGV: how long the lease lasts in ms, a fresh id, the priorities in the order in which they are looked at
-- Answers {1, id, attempt, body, nonce}; or, with nothing ready, {0, last id of the lane's bell, ms until something
-- becomes ready by itself or -1, '', ''}.

local lasting, fresh = tonumber(ARGV[1]), ARGV[2]

-- Takes in one of the bodies that strangers pushed on the plain list. One for each lease keeps step with the workers.
local function take_in()
  if redis.call('TYPE', lane).ok ~= 'list' then return end
  store(fresh, redis.call('LPOP', lane), 'normal', 0)
end

-- The next message of the stream that is known and was never delivered; others are leftovers of a lost group or hash.
local function next_of_stream(priority)
  local stream = key('ready:' .. priority)
  while redis.call('EXISTS', stream) == 1 do
    local read = redis.pcall('XREADGROUP', 'GROUP', GROUP, CONSUMER, 'COUNT', 1, 'STREAMS', stream, '>')
    if not read then return nil end
    if read.err then
      redis.call('XGROUP', 'CREATE', stream, GROUP, '0')
    else
      local entry, id = read[1][2][1][1], read[1][2][1][2][2]
      if redis.call('EXISTS', message_key(id)) == 0 then
        redis.call('XACK', stream, GROUP, entry)
        redis.call('XDEL', stream, entry)
      elseif redis.call('HSETNX', message_key(id), 'entry', entry) == 1 then
        return id
      end
    end
  end
end

local function next_again(priority)
  while true do
    local popped = redis.call('ZPOPMIN', key('again:' .. priority))
    local id = popped[1]
    if not id then return nil end
    local entry = redis.call('HGET', message_key(id), 'entry')
    if entry then
      -- Only for people who look at the group: when it was delivered last, and how often.
      redis.pcall('XCLAIM', key('ready:' .. priority), GROUP, CONSUMER, 0, entry, 'JUSTID')
      return id
    end
  end
end

local function lease(id)
  local attempt = redis.call('HINCRBY', message_key(id), 'attempts', 1)
  redis.call('HSET', message_key(id), 'nonce', fresh)
  redis.call('ZADD', key('leases'), now + lasting, id)
  return {1, id, attempt, redis.call('HGET', message_key(id), 'body'), fresh}
end

-- How long until a delay or a lease ends.
local function next_change()
  local soonest = -1
  for _, set in ipairs({'delayed', 'leases'}) do
    local first = redis.call('ZRANGE', key(set), 0, 0, 'WITHSCORES')[2]
    if first then
      local left = math.max(tonumber(first) - now, 1)
      if soonest < 0 or left < soonest then soonest = left end
    end
  end
  return soonest
end

sweep()
take_in()
for i = 3, #ARGV do
  local priority = ARGV[i]
  local id = next_again(priority) or next_of_stream(priority)
  if id then return lease(id) end
end
local last = redis.call('XREVRANGE', key('bell'), '+', '-', 'COUNT', 1)[1]
return {0, last and last[1] or '0-0', next_change(), '', ''}
