-- discard.lua - messages are taken back: at once, or with the end of their lease
-- SPDX-License-Identifier: MIT
-- ARGV: how long a finished id is known, a derived one; the mark as a line, "" to leave what is leased as it is; ids, each
-- behind "1" where it is derived or "".
-- Gives how many went at once.
local gone = 0
for i = 4, #ARGV, 2 do
	local id = ARGV[i + 1]
	local kind = redis.call('TYPE', P .. id).ok
	local place = kind == 'hash' and redis.call('HGET', P .. id, 'place')
	if place == 'leased' then
		if ARGV[3] ~= '' then
			ask(id, ARGV[3], true)
		end
	elseif kind ~= 'none' then
		finish(id, ARGV[i] == '1' and ARGV[2] or ARGV[1])
		gone = gone + 1
	else
		-- A write that is on its way still, by a connection that was given up, is to find that it is too late.
		known(id, ARGV[i] == '1' and ARGV[2] or ARGV[1])
	end
end
return gone
