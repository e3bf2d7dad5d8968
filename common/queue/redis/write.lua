-- write.lua - messages become visible together, or none does
-- SPDX-License-Identifier: MIT
-- ARGV: how many; delay in ms; for each its id, for a derived one when it was accepted (ms), else "", its head, the number of
-- its content; the contents.
-- Gives {"ok", messages in the queue} or {"differs", id}.
local FIRST = 3
local count, delay = tonumber(ARGV[1]), tonumber(ARGV[2])

local function item(i)
	local at = FIRST + 4 * (i - 1)
	return ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[FIRST + 4 * count + tonumber(ARGV[at + 3]) - 1]
end

-- "new"; "same", also where it is known as finished; "differs".
local function compare(id, accepted, head, content)
	if redis.call('EXISTS', P .. 'done:' .. id) == 1 then
		return 'same'
	end
	local kind = redis.call('TYPE', P .. id).ok
	if kind == 'none' then
		return 'new'
	elseif kind ~= 'hash' then
		return 'differs'
	elseif accepted ~= '' then
		return 'same'
	end
	local there = redis.call('HMGET', P .. id, 'head', 'octets')
	return there[1] == head and there[2] == content and 'same' or 'differs'
end

local fresh, seen, size = {}, {}, 0
for i = 1, count do
	local id, accepted, head, content = item(i)
	local result = seen[id] and 'same' or compare(id, accepted, head, content)
	if result == 'differs' then
		return {result, id}
	elseif result == 'new' then
		seen[id] = true
		fresh[#fresh + 1] = i
		size = size + #content
	end
end

-- Also where nothing is new: it is this that replicas are waited for, and that fails where there is no room.
probe()
redis.call('INCRBY', OCTETS, digits(size))
for _, i in ipairs(fresh) do
	local id, accepted, head, content = item(i)
	redis.call('ZADD', INDEX, 0, id)
	if accepted ~= '' then
		redis.call('HSET', P .. id, 'accepted', accepted)
	end
	if delay > 0 then
		local due = digits(now + delay)
		redis.call('HSET', P .. id, 'head', head, 'octets', content, 'place', 'deferred', 'due', due)
		redis.call('ZADD', DEFERRED, due, id)
	else
		redis.call('HSET', P .. id, 'head', head, 'octets', content, 'place', 'new')
		redis.call('RPUSH', QUEUE, id)
	end
end
if #fresh > 0 then
	due_at(now + math.max(delay, 0))
end
return {'ok', redis.call('ZCARD', INDEX)}
