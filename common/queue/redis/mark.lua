-- mark.lua - something is asked of a message: it stands beside its lease, or is for the caller to obey
-- SPDX-License-Identifier: MIT
-- ARGV: id; the mark as a line; "1" where it says nothing new the second time; how many may stand there.
-- Gives {"gone"}, {"marked"}, {"full"}, or {"free", now, record}.
local id = ARGV[1]
local found = record(id)
if not found then
	return {'gone'}
elseif found[2] ~= 'leased' then
	return {'free', digits(now), found}
end
return {ask(id, ARGV[2], ARGV[3] == '1', tonumber(ARGV[4])) and 'marked' or 'full'}
