-- claim.lua - leases on what is due and nobody's
-- SPDX-License-Identifier: MIT
-- ARGV: how many, octets of content in all (0: any), the lease's ms, its owner, the claim's name, whether it was asked before,
-- content up to this size comes along, about so large is the answer at most, which kind is the first one's turn.
-- Gives: now, whose turn is next, whether somebody sweeps; then a record each, its octets or nil, and whose lease of it
-- ended without a word, or nil.
local max, max_bytes, lease_ms, owner, claim = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4], ARGV[5]
local again, with, answer_max, turn = ARGV[6] == '1', tonumber(ARGV[7]), tonumber(ARGV[8]), ARGV[9]
local LOOK, EXPIRE, SEARCH = 1000 + max, 100, 4096
local other = {deferred = 'new', new = 'deferred'}
local looked, bytes, told = 0, 0, 0
local answer = {}

probe()

local function add(id)
	local found = record(id)
	local size, octets = found[#found], false
	if size <= with and told + size <= answer_max then
		octets = redis.call('HGET', P .. id, 'octets')
		told = told + size
	end
	for i = 2, #found - 1 do
		told = told + #(found[i] or '')
	end
	answer[#answer + 1] = {found, octets, redis.call('HGET', P .. id, 'lapsed')}
	bytes = bytes + size
end

-- The answer was lost on its way: what it gave is still ours, from now on.
local function add_again()
	for _, id in ipairs(redis.call('ZREVRANGE', LEASED, 0, SEARCH - 1)) do
		if redis.call('HGET', P .. id, 'claim') == claim then
			redis.call('HSET', P .. id, 'until', digits(now + lease_ms))
			redis.call('ZADD', LEASED, digits(now + lease_ms), id)
			add(id)
		end
	end
end

-- The first of that kind. Hints that are not true are dropped on the way, a bounded number of them.
local function first_of(kind)
	while looked < LOOK do
		looked = looked + 1
		local id
		if kind == 'deferred' then
			id = redis.call('ZRANGEBYSCORE', DEFERRED, '-inf', digits(now), 'LIMIT', 0, 1)[1]
		else
			id = redis.call('LINDEX', QUEUE, 0)
		end
		if not id then
			return nil
		end
		local found = redis.pcall('HMGET', P .. id, 'place', 'aside', 'suspect', 'marks', 'epoch')
		local place = not found.err and found[1]
		if place == 'new' and (kind == 'deferred' or not found[2]) or place == 'deferred' and kind == 'deferred' then
			return id, {place = place, alone = found[3] or found[4], epoch = tonumber(found[5] or 0)}
		end
		if kind == 'deferred' then
			redis.call('ZREM', DEFERRED, id)
		else
			redis.call('LPOP', QUEUE)
		end
	end
	return nil
end

local function fits(id, message)
	return #answer == 0 or
		not message.alone and told < answer_max and (max_bytes == 0 or bytes + redis.call('HSTRLEN', P .. id, 'octets') <= max_bytes)
end

for _, id in ipairs(redis.call('ZRANGEBYSCORE', LEASED, '-inf', digits(now), 'LIMIT', 0, EXPIRE)) do
	give_back(id, true)
end
if again then
	add_again()
end
while #answer < max do
	local kind = turn
	local id, message = first_of(kind)
	if not id then
		kind = other[turn]
		id, message = first_of(kind)
	end
	if not id or not fits(id, message) then
		break
	end
	if kind == 'new' then
		redis.call('LPOP', QUEUE)
	end
	take(id, message.place, message.epoch, owner, claim, lease_ms)
	add(id)
	turn = other[kind]
	if message.alone then
		break
	end
end
if #answer > 0 then
	due_at(now + lease_ms)
end
if is_due() then
	wake()
else
	redis.call('DEL', WAKE)
end
table.insert(answer, 1, redis.call('EXISTS', SWEEPER))
table.insert(answer, 1, turn)
table.insert(answer, 1, now)
return answer
