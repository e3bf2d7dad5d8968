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
local sweeps
local function probe()
	redis.call('LLEN', QUEUE)
	redis.call('ZCARD', DEFERRED)
	redis.call('ZCARD', LEASED)
	redis.call('ZCARD', HELD)
	redis.call('ZCARD', INDEX)
	redis.call('LLEN', WAKE)
	redis.call('LLEN', ALARM)
	sweeps = redis.call('GET', SWEEPER)
	if not tonumber(redis.call('GET', OCTETS) or '0') then
		error('WRONGTYPE ' .. OCTETS .. ' is no number')
	end
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
	local known = sweeps
	if known == nil then
		known = redis.call('GET', SWEEPER)
	end
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

-- The id is known as finished for that time; 0: not at all.
local function known(id, kept_ms)
	if tonumber(kept_ms) > 0 then
		redis.call('SET', P .. 'done:' .. id, '', 'PX', kept_ms)
	end
end

-- The message is gone, and its id known as finished.
local function finish(id, kept_ms)
	local size = redis.pcall('HSTRLEN', P .. id, 'octets')
	if type(size) == 'number' then
		redis.call('DECRBY', OCTETS, size)
	end
	redis.call('DEL', P .. id)
	leave(id)
	redis.call('ZREM', INDEX, id)
	known(id, kept_ms)
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

-- ---- leases

-- Under a lease; `was` is the place it had, to which it returns when nobody ends the lease. An epoch never comes again, also
-- where a replica that took over does not know the last ones.
local function take(id, was, epoch, owner, claim, lease_ms)
	local key = P .. id
	redis.call('HSET', key, 'place', 'leased', 'back', was, 'owner', owner, 'since', digits(now),
		'until', digits(now + lease_ms), 'claim', claim, 'epoch', digits(math.max((epoch or 0) + 1, now)))
	redis.call('HDEL', key, 'aside')
	leave(id)
	redis.call('ZADD', LEASED, digits(now + lease_ms), id)
	if type(redis.pcall('HINCRBY', key, 'version', 1)) ~= 'number' then
		redis.call('HSET', key, 'version', digits(now))		-- somebody wrote what is no number
	end
end

-- Somebody took it away under its lease: nothing of it stays. What has lost its place only is damaged, and stays to be seen.
local function forget(id)
	leave(id)
	if redis.call('EXISTS', P .. id) == 0 then
		redis.call('ZREM', INDEX, id)
	end
	return {'gone'}
end

-- A lease that ends without a result: the message is where it was. What was asked beside the lease is obeyed by who claims it
-- next, so that is to be at once. `lapsed`: its owner has said nothing, so nobody knows what he did; kept until a result is.
local function give_back(id, lapsed)
	local key = P .. id
	local found = redis.pcall('HMGET', key, 'place', 'back', 'due', 'marks', 'owner')
	redis.call('ZREM', LEASED, id)
	if found.err or found[1] ~= 'leased' then
		return
	end
	local back, due, marks, owner = found[2], tonumber(found[3] or now) or now, found[4], found[5]
	if lapsed then
		redis.call('HSET', key, 'lapsed', owner or '')
	end
	redis.call('HDEL', key, 'owner', 'since', 'until', 'claim', 'back')
	if marks then
		redis.call('HSET', key, 'place', back == 'new' and 'new' or 'deferred')
		redis.call('ZADD', DEFERRED, digits(now), id)
		due_at(now)
	elseif back == 'held' then
		redis.call('HSET', key, 'place', 'held')
		redis.call('ZADD', HELD, digits(now), id)
	elseif back == 'new' then
		redis.call('HSET', key, 'place', 'new')
		redis.call('LPUSH', QUEUE, id)
		due_at(now)
	else
		redis.call('HSET', key, 'place', 'deferred')
		redis.call('ZADD', DEFERRED, digits(due), id)
		due_at(due)
	end
end

-- What was put aside under that tag and group is due now; up to `max` of them. True: there are more.
local function recall(tag, group, max)
	local name = P .. 'aside:' .. tag .. ':' .. group
	local ids = redis.call('SPOP', name, max)
	for _, id in ipairs(ids) do
		local found = redis.pcall('HMGET', P .. id, 'aside', 'due')
		local aside, due = found[1], found[2]
		if aside == tag .. ':' .. group then
			redis.call('HDEL', P .. id, 'aside')
			redis.call('ZADD', DEFERRED, digits(math.min(tonumber(due or now) or now, now)), id)
			due_at(now)
		end
	end
	if redis.call('EXISTS', name) == 1 then
		return true
	end
	redis.call('SREM', P .. 'aside:' .. tag, group)
	return false
end

-- All groups of that tag; up to some `max`.
local function recall_all(tag, max)
	for _, group in ipairs(redis.call('SMEMBERS', P .. 'aside:' .. tag)) do
		if recall(tag, group, max) then
			return true
		end
	end
	return false
end

local function is_due()
	return redis.call('LLEN', QUEUE) > 0 or
		#redis.call('ZRANGEBYSCORE', DEFERRED, '-inf', digits(now), 'LIMIT', 0, 1) > 0 or
		#redis.call('ZRANGEBYSCORE', LEASED, '-inf', digits(now), 'LIMIT', 0, 1) > 0
end
