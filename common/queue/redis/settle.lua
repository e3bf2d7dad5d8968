-- settle.lua - a message's new state and place, if it is still as who asks saw it
-- SPDX-License-Identifier: MIT
-- ARGV: id; "epoch" (the lease's end), "version" (no lease) or "take" (who has it loses it); that epoch; the version; place (new,
-- deferred, held, gone); due (ms, "+N" from now, or none); state; suspect; aside (TAG:GROUP); for how long; how long a gone one stays known.
-- Gives: "ok"; "gone"; "lost" (another has it, or had it) or "changed", then now and the record.
local id, how, epoch, version, place, due, state, suspect, aside = unpack(ARGV, 1, 9)
local aside_ms, finished_ms = tonumber(ARGV[10]), tonumber(ARGV[11])
local key = P .. id

probe()
local was = redis.call('HMGET', key, 'place', 'epoch', 'version', 'ended')
local unchanged = (was[3] or '0') == version
if not was[1] and (how == 'epoch' or redis.call('EXISTS', key) == 0) then
	return forget(id)
end
if how == 'epoch' then
	if was[4] == epoch then
		return {'ok'}		-- asked again: it had arrived
	end
	if was[2] ~= epoch or (was[1] ~= 'leased' and not unchanged) then
		return {'lost', now, record(id)}
	end
end
if not unchanged or (how == 'version' and was[1] == 'leased') then
	return {'changed', now, record(id)}
end
if place == 'gone' then
	finish(id, finished_ms)
	return {'ok'}
end

local function set(name, value)
	if value == '' then
		redis.call('HDEL', key, name)
	else
		redis.call('HSET', key, name, value)
	end
end

if how == 'epoch' then
	redis.call('HSET', key, 'ended', epoch)
	redis.call('HDEL', key, 'lapsed')
elseif how == 'take' then
	redis.call('HSET', key, 'epoch', digits(math.max(tonumber(was[2] or 0) + 1, now)))
end
leave(id)
if string.sub(due, 1, 1) == '+' then
	due = digits(now + tonumber(due))
end
set('place', place)
set('due', due)
set('state', state)
set('suspect', suspect)
set('aside', aside)
redis.call('HINCRBY', key, 'version', 1)
redis.call('HDEL', key, 'marks', 'owner', 'since', 'until', 'claim', 'back')
if place == 'held' then
	redis.call('ZADD', HELD, digits(now), id)
elseif aside ~= '' then
	local tag, group = string.match(aside, '^(.*):(%d+)$')
	redis.call('ZADD', DEFERRED, digits(now + aside_ms), id)
	redis.call('SADD', P .. 'aside:' .. aside, id)
	redis.call('SADD', P .. 'aside:' .. tag, group)
	due_at(now + aside_ms)
elseif place == 'new' then
	redis.call('LPUSH', QUEUE, id)
	due_at(now)
else
	redis.call('ZADD', DEFERRED, due, id)
	due_at(tonumber(due))
end
return {'ok'}
