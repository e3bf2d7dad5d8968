-- sweep.lua - a heartbeat; and who has the lock of the queue sees to what nobody does
-- SPDX-License-Identifier: MIT
-- ARGV: tag, ms between sweeps, the ms of leases, whether the lock is wanted, whether a token of ALARM was taken for it; behind
-- which id messages are looked at one by one, "-" for the first ones, none: this time they are not.
-- Gives: whether the lock is ours, ms until the next time, whether there is more to do at once, up to which id they were looked
-- at ("-": to the last), and those found that nobody would have claimed.
local tag, interval_ms, lease_ms, wanted = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4] == '1'
local alarmed, behind = ARGV[5] == '1', ARGV[6]
local EXPIRE, STEPPED, GONE, RECALL, PAUSE_MS, LOOK, LEASE_MAX_MS = 500, 100, 4, 500, 100, 1000, 86400000
local more = 0
local stray = {}

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
		local found = redis.pcall('HMGET', P .. id, 'since', 'until')
		local since, ends = tonumber(found[1] or nil), tonumber(found[2] or nil)
		if since and ends and since > now + 1000 then
			ends = digits(now + ends - since)
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

-- What is in no list would wait for ever: where somebody, or a backup, changed one of them and not the other.
local function mend(id)
	local found = redis.pcall('HMGET', P .. id, 'place', 'aside', 'due')
	local place, aside, due = found[1], found[2], tonumber(found[3] or now) or now
	local score = function(name)
		return tonumber(redis.call('ZSCORE', name, id) or nil)
	end
	local first = redis.call('LINDEX', QUEUE, 0)

	if found.err then
		return false
	elseif place == 'leased' then
		if (score(LEASED) or math.huge) <= now + LEASE_MAX_MS then
			return false
		end
		give_back(id, true)
	elseif place == 'held' and not score(HELD) then
		redis.call('ZADD', HELD, digits(now), id)
	elseif place == 'deferred' and not score(DEFERRED) or place == 'new' and aside and not score(DEFERRED) then
		redis.call('ZADD', DEFERRED, digits(due), id)
		due_at(due)
	elseif place == 'new' and not score(DEFERRED) and (not first or id < first) then
		-- Where there is no hint at all, or only later ones; one too many does nothing.
		redis.call('RPUSH', QUEUE, id)
		due_at(now)
		return not first
	elseif not place and redis.call('EXISTS', P .. id) == 0 then
		forget(id)
		return false
	else
		return false
	end
	return true
end

local function look()
	local ids = redis.call('ZRANGEBYLEX', INDEX, behind == '-' and '-' or '(' .. behind, '+', 'LIMIT', 0, LOOK)
	for _, id in ipairs(ids) do
		if mend(id) then
			stray[#stray + 1] = id
		end
	end
	behind = #ids == LOOK and ids[LOOK] or '-'
end

local function first_score(name)
	local first = redis.call('ZRANGEBYSCORE', name, '(' .. digits(now), '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
	return first[2] and tonumber(first[2]) or math.huge
end

if ours then
	expire()
	recall_of_gone()
	if behind ~= '' then
		look()
	end
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
	return {0, math.max(1, math.min(left_ms, interval_ms)), 0, behind, stray}
end
-- While some are due and nobody takes them, those that become so have time.
local next = math.min(first_score(DEFERRED), first_score(LEASED))
next = math.min(math.max(next, due and now + PAUSE_MS or now), now + interval_ms)
redis.call('SET', SWEEPER, tag .. ' ' .. digits(next), 'PX', digits(math.ceil(interval_ms * 5 / 4)))
return {1, next - now, more, behind, stray}
