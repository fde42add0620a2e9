-- Measures a lane.
-- Answers {ready, delayed, leased, dead, ms since the oldest ready message was published or -1}.
-- Plain bodies that nobody took in yet count as ready; a Redis list does not know their age.

sweep()

local function age(id)
  local published = id and redis.call('HGET', message_key(id), 'published')
  return published and now - tonumber(published) or -1
end

-- How many of a stream's messages were never delivered, and the first of them.
local function undelivered(stream)
  local length = redis.call('XLEN', stream)
  if length == 0 then return 0, nil end
  local groups, start = redis.call('XINFO', 'GROUPS', stream), '-'
  for _, group in ipairs(groups) do
    local facts = {}
    for i = 1, #group, 2 do facts[group[i]] = group[i + 1] end
    if facts['name'] == GROUP then
      length, start = length - facts['pending'], '(' .. facts['last-delivered-id']
    end
  end
  local first = redis.call('XRANGE', stream, start, '+', 'COUNT', 1)[1]
  return length, first and first[2][2]
end

-- Due messages that the sweep left for the next call are ready all the same.
local function due(set) return redis.call('ZCOUNT', key(set), '-inf', now) end

local ready, oldest = due('delayed') + due('leases'), -1
for _, priority in ipairs(PRIORITIES) do
  local fresh, first = undelivered(key('ready:' .. priority))
  local again = key('again:' .. priority)
  ready = ready + fresh + redis.call('ZCARD', again)
  oldest = math.max(oldest, age(first), age(redis.call('ZRANGE', again, 0, 0)[1]))
end
if redis.call('TYPE', lane).ok == 'list' then ready = ready + redis.call('LLEN', lane) end

return {
  ready,
  redis.call('ZCARD', key('delayed')) - due('delayed'),
  redis.call('ZCARD', key('leases')) - due('leases'),
  redis.call('XLEN', key('dead')),
  oldest,
}
