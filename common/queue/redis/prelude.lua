-- prelude.lua - what every script of a redis queue begins with
-- SPDX-License-Identifier: MIT

local QUEUE, DEFERRED, LEASED, HELD, INDEX, OCTETS, WAKE, ALARM, SWEEPER, OWNERS, SETTINGS = unpack(KEYS)
local P = string.sub(QUEUE, 1, -6)
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

local function digits(number)
	return string.format('%.0f', number)
end

-- What a script needs and has not the right type makes it fail here, before it has changed anything.
local function probe()
	redis.call('LLEN', QUEUE)
	redis.call('ZCARD', DEFERRED)
	redis.call('ZCARD', LEASED)
	redis.call('ZCARD', HELD)
	redis.call('ZCARD', INDEX)
	redis.call('LLEN', WAKE)
	redis.call('LLEN', ALARM)
	redis.call('INCRBY', OCTETS, 0)
end

-- Something is due: one token for all who wait.
local function wake()
	if redis.call('LLEN', WAKE) == 0 then
		redis.call('RPUSH', WAKE, '1')
	end
end

-- Something is due at that time: who sweeps is told, if that is sooner than it knows.
local function due_at(ms)
	if ms <= now then
		return wake()
	end
	local known = redis.call('GET', SWEEPER)
	local next = known and tonumber(string.match(known, ' (%d+)$')) or 0
	if known and (next == 0 or ms < next) and redis.call('LLEN', ALARM) == 0 then
		redis.call('RPUSH', ALARM, '1')
	end
end

-- Under no place any more; where it was new, a hint stays in QUEUE, which who claims drops.
local function leave(id)
	redis.call('ZREM', DEFERRED, id)
	redis.call('ZREM', LEASED, id)
	redis.call('ZREM', HELD, id)
end

-- The message is gone, and its id known as finished for that time.
local function finish(id, kept_ms)
	local size = redis.pcall('HSTRLEN', P .. id, 'octets')
	if type(size) == 'number' then
		redis.call('DECRBY', OCTETS, size)
	end
	redis.call('DEL', P .. id)
	leave(id)
	redis.call('ZREM', INDEX, id)
	redis.call('SET', P .. 'done:' .. id, '', 'PX', kept_ms)
end

-- What C is told of a message (redis_record_read): id, the fields, the size of its content. Of one that is no hash: id and
-- why. False: there is none.
local FIELDS = {'place', 'version', 'epoch', 'due', 'state', 'marks', 'owner', 'since', 'until', 'suspect', 'back', 'head'}
local function record(id)
	local key = P .. id
	local found = redis.pcall('HMGET', key, unpack(FIELDS))
	if found.err then
		return {id, found.err}
	end
	if not found[1] and redis.call('EXISTS', key) == 0 then
		return false
	end
	table.insert(found, 1, id)
	found[#found + 1] = redis.call('HSTRLEN', key, 'octets')
	return found
end

-- A mark, a line, stands beside the lease of a message; `once`: not where it is the last one already. False: too many do.
local function ask(id, line, once, most)
	local marks = redis.call('HGET', P .. id, 'marks') or ''
	if once and string.sub(marks, -#line - 1) == '\n' .. line or once and marks == line then
		return true
	end
	if most and select(2, string.gsub(marks, '\n', '')) >= most then
		return false
	end
	redis.call('HSET', P .. id, 'marks', marks .. line)
	redis.call('HINCRBY', P .. id, 'version', 1)
	return true
end
