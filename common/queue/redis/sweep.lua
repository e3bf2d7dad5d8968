-- sweep.lua - a heartbeat; and who has the lock of the queue sees to what nobody does
-- SPDX-License-Identifier: MIT
-- ARGV: tag, ms between sweeps, the ms of leases, whether the lock is wanted, whether a token of ALARM was taken for it.
-- Gives: whether the lock is ours, ms until the next time, whether there is more to do at once.
local tag, interval_ms, lease_ms, wanted = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4] == '1'
local alarmed = ARGV[5] == '1'
local EXPIRE, STEPPED, GONE, RECALL, PAUSE_MS = 500, 100, 4, 500, 100
local more = 0

probe()
redis.call('ZADD', OWNERS, digits(now + 3 * interval_ms), tag)
local holder = redis.call('GET', SWEEPER)
local ours = wanted and (not holder or string.sub(holder, 1, #tag + 1) == tag .. ' ')

local function expire()
	local ids = redis.call('ZRANGEBYSCORE', LEASED, '-inf', digits(now), 'LIMIT', 0, EXPIRE)
	for _, id in ipairs(ids) do
		give_back(id, true)
	end
	if #ids == EXPIRE then
		more = 1
	end
	-- The clock went back: a lease that began later than now ends as long after now as it was to last.
	for _, id in ipairs(redis.call('ZRANGEBYSCORE', LEASED, digits(now + lease_ms + 1000), '+inf', 'LIMIT', 0, STEPPED)) do
		local since, ends = unpack(redis.call('HMGET', P .. id, 'since', 'until'))
		if since and ends and tonumber(since) > now + 1000 then
			ends = digits(now + tonumber(ends) - tonumber(since))
			redis.call('HSET', P .. id, 'since', digits(now), 'until', ends)
			redis.call('ZADD', LEASED, ends, id)
		end
	end
end

local function recall_of_gone()
	for _, gone in ipairs(redis.call('ZRANGEBYSCORE', OWNERS, '-inf', digits(now), 'LIMIT', 0, GONE)) do
		if recall_all(gone, RECALL) then
			more = 1
		else
			redis.call('ZREM', OWNERS, gone)
		end
	end
	if #redis.call('ZRANGEBYSCORE', OWNERS, '-inf', digits(now), 'LIMIT', 0, 1) > 0 then
		more = 1
	end
end

local function first_score(name)
	local first = redis.call('ZRANGEBYSCORE', name, '(' .. digits(now), '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
	return first[2] and tonumber(first[2]) or math.huge
end

if ours then
	expire()
	recall_of_gone()
end
local due = is_due()
if due then
	wake()
end
if not ours then
	-- The token was for who has the lock by now.
	if alarmed and redis.call('LLEN', ALARM) == 0 then
		redis.call('RPUSH', ALARM, '1')
	end
	local left_ms = holder and redis.call('PTTL', SWEEPER) or interval_ms
	return {0, math.max(1, math.min(left_ms, interval_ms)), 0}
end
-- While some are due and nobody takes them, those that become so have time.
local next = math.min(first_score(DEFERRED), first_score(LEASED))
next = math.min(math.max(next, due and now + PAUSE_MS or now), now + interval_ms)
redis.call('SET', SWEEPER, tag .. ' ' .. digits(next), 'PX', digits(math.ceil(interval_ms * 5 / 4)))
return {1, next - now, more}
