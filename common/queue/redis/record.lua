-- record.lua - what was settled under a lease that another has by now, or had
-- SPDX-License-Identifier: MIT
-- ARGV: id, the version that was merged with, the state that came of it. Place, due time and lease stay as they are.
-- Gives: "ok"; "gone"; "changed", now and the record.
local id, version, state = ARGV[1], ARGV[2], ARGV[3]
local key = P .. id

probe()
local was = redis.call('HMGET', key, 'place', 'version', 'back', 'due', 'aside')
if not was[1] then
	return {'gone'}
end
if (was[2] or '0') ~= version then
	return {'changed', now, record(id)}
end
redis.call('HSET', key, 'state', state)
redis.call('HINCRBY', key, 'version', 1)
if not was[4] then
	redis.call('HSET', key, 'due', digits(now))
end
if was[1] == 'leased' and was[3] == 'new' then
	redis.call('HSET', key, 'back', 'deferred')
elseif was[1] == 'new' then
	-- Something is known of it, so it is new no more.
	redis.call('HSET', key, 'place', 'deferred')
	if not was[5] then
		redis.call('ZADD', DEFERRED, digits(now), id)
		due_at(now)
	end
end
return {'ok'}
