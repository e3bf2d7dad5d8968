-- recall.lua - what was put aside is due now
-- SPDX-License-Identifier: MIT
-- ARGV: tag, groups. Gives 1 where there are more than are done at once.
local MAX = 500
local more = 0

probe()
for i = 2, #ARGV do
	if recall(ARGV[1], ARGV[i], MAX) then
		more = 1
	end
end
return more
