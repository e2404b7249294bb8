-- SPDX-License-Identifier: MIT
-- Wireshark dissector of SSYNCP, versions 1 and 2: see docs/protocol.md. ssyncp_seal.lua
-- is to be beside it.

local here = __DIR__ or debug.getinfo(1, "S").source:match("^@(.*)[/\\][^/\\]*$") or "."
local seal = assert(loadfile(here .. "/ssyncp_seal.lua"))()

-- The name ssyncp is taken in Wireshark, by the protocol of mosh.
local ssyncp = Proto("lvssyncp", "SSYNCP: IPVS connection synchronization")
local ipProtocol = 114
local headerSize, nonceSize, tagSize, bodyHeaderSize = 12, 24, 16, 28
local tableRows, rangesMax, nameMax, countMax, selectorMax, objectsMax = 256, 64, 64, 50, 64, 8

ssyncp.prefs.udp_port = Pref.uint("UDP port", 7114, "udp_port of the links; 0: none")
ssyncp.prefs.key_files = Pref.string("Key files", "", "Files that ssyncpd keygen made, with ; between them")

---- Fields

local fields, registered = {}, {}

local function field(kind, abbreviation, ...)
	local f = ProtoField[kind]("lvssyncp." .. abbreviation, ...)
	fields[abbreviation] = f
	registered[#registered + 1] = f
end

local ms = { " ms" }
local function milliseconds(kind, abbreviation, name)
	field(kind, abbreviation, name, base.DEC + base.UNIT_STRING, ms)
end

-- address makes fields of both families: NAME and NAME6.
local function address(abbreviation, name)
	field("ipv4", abbreviation, name)
	field("ipv6", abbreviation .. "6", name .. " (IPv6)")
end

-- bits makes a field for each bit of another one.
local function bits(abbreviation, size, list)
	for mask, bit in pairs(list) do
		field("bool", abbreviation .. "." .. bit, bit, size, nil, mask)
	end
end

local blockNames = {
	[0x01] = "ADVERT", [0x02] = "HEARTBEAT", [0x03] = "CHALLENGE", [0x04] = "ECHO", [0x05] = "NACK", [0x06] = "GONE",
	[0x07] = "SNAPSHOT REQUEST", [0x08] = "SNAPSHOT CHUNK", [0x09] = "SNAPSHOT ACK", [0x0a] = "PROBE", [0x0b] = "PROBE ACK",
	[0x0c] = "QUERY", [0x0d] = "ANSWER", [0x0e] = "LAST ADVERTS",
}
local suites = { [0] = "clear", [1] = "XChaCha20-Poly1305" }
local classes = { [1] = "IPVS connections", [2] = "conntrack entries" }
local states = { "joining", "synced", "synced (alone)", "degraded" }
local protocols = {
	[0] = "IP", [1] = "ICMP", [6] = "TCP", [17] = "UDP", [33] = "DCCP", [47] = "GRE", [58] = "ICMPv6", [132] = "SCTP", [136] = "UDPLite",
}
local methods = { [0] = "masquerading", "local node", "tunnel", "direct routing", "bypass" }
local flagBits = {
	[0x20] = "sync", [0x40] = "hashed", [0x80] = "no_output", [0x100] = "inactive", [0x200] = "out_seq", [0x400] = "in_seq",
	[0x800] = "no_cport", [0x1000] = "template", [0x2000] = "one_packet",
}
local ipvsStates = {
	template = { [0] = "NONE", "ASSURED" },
	[0] = { [0] = "NONE" },
	[6] = {
		[0] = "NONE", "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT", "TIME_WAIT", "CLOSE", "CLOSE_WAIT", "LAST_ACK", "LISTEN", "SYNACK",
	},
	[17] = { [0] = "UDP" },
	[132] = {
		[0] = "NONE", "INIT1", "INIT", "C-SENT", "C-REPLIED", "C-WAIT", "COOKIE", "C-ECHOED", "ESTABLISHED", "S-SENT", "S-RECEIVED",
		"S-ACK-SENT", "REJECTED", "CLOSED",
	},
}
local conntrackStates = {
	[6] = {
		[0] = "NONE", "SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK", "TIME_WAIT", "CLOSE", "SYN_SENT2",
	},
	[132] = {
		[0] = "NONE", "CLOSED", "COOKIE_WAIT", "COOKIE_ECHOED", "ESTABLISHED", "SHUTDOWN_SENT", "SHUTDOWN_RECD", "SHUTDOWN_ACK_SENT",
		"HEARTBEAT_SENT",
	},
}
local statusBits = {
	[0x1] = "expected", [0x2] = "seen_reply", [0x4] = "assured", [0x8] = "confirmed", [0x10] = "src_nat", [0x20] = "dst_nat",
	[0x40] = "seq_adjust", [0x80] = "src_nat_done", [0x100] = "dst_nat_done", [0x200] = "dying", [0x400] = "fixed_timeout",
}
local ipvsFieldNames = { [0x81] = "PE name", [0x82] = "PE data" }
local conntrackFieldNames = { "labels", "helper", "SYNPROXY" }

field("uint8", "count", "Count Conns")
field("uint8", "sync_id", "Sync ID")
field("uint16", "size", "Size", base.DEC + base.UNIT_STRING, { " bytes" })
field("uint16", "version", "Version")
field("uint16", "reserved", "Reserved", base.HEX)
field("uint16", "checksum", "Checksum", base.HEX)
field("uint8", "suite", "Suite", base.DEC, suites)
field("uint8", "suite_reserved", "Reserved", base.HEX)
field("uint16", "key_id", "Key ID", base.HEX)
field("bytes", "nonce", "Nonce")
field("bytes", "sealed", "Sealed body")
field("bytes", "tag", "Tag")
field("string", "key_file", "Opened with the key of")
field("uint32", "sender", "Sender ID")
field("bytes", "start", "Start ID")
field("uint64", "frame_number", "Frame Number")

field("uint8", "block.type", "Type", base.HEX, blockNames)
field("uint8", "block.reserved", "Reserved", base.HEX)
field("uint16", "block.length", "Length", base.DEC + base.UNIT_STRING, { " bytes" })
field("bytes", "block.unknown", "Block of unknown type")
field("bytes", "block.later", "Fields of a later version")

field("uint8", "advert.class", "Class", base.DEC, classes)
field("uint8", "advert.reserved", "Reserved", base.HEX)
field("uint16", "advert.count", "Count")
field("uint64", "seq", "Sequence")
milliseconds("uint32", "advert.held", "Held")
field("bytes", "advert.entries", "Entries of unknown class")

field("uint64", "heartbeat.last", "Last")
field("uint8", "heartbeat.state", "State", base.DEC, states)
field("uint8", "heartbeat.reserved", "Reserved", base.HEX)
milliseconds("uint16", "heartbeat.interval", "Interval")
field("uint32", "heartbeat.entries", "Entries")
field("uint32", "heartbeat.gaps", "Gaps")
field("uint8", "heartbeat.name_length", "Name Length", base.DEC + base.UNIT_STRING, { " bytes" })
field("string", "heartbeat.name", "Name")

field("uint32", "peer.sender", "Peer's Sender ID")
field("bytes", "peer.start", "Peer's Start ID")
field("bytes", "challenge", "Challenge")
field("uint64", "nack.first", "First missing")
field("uint32", "nack.count", "Count")
field("uint64", "gone.first", "First")
field("uint64", "gone.last", "Last")
field("uint32", "snapshot.request", "Request", base.HEX)
field("uint32", "snapshot.classes", "Classes", base.HEX)
field("uint32", "snapshot.options", "Options", base.HEX)
field("bool", "snapshot.owned", "Only what the donor owns", 32, nil, 1)
field("uint32", "snapshot.number", "Number")
field("bool", "snapshot.last", "Last", 32, nil, 1)
field("bool", "snapshot.refused", "Refused", 32, nil, 2)
field("uint32", "snapshot.next", "Next")
field("uint32", "snapshot.missing.first", "First missing")
field("uint32", "snapshot.missing.count", "Count")
field("bytes", "probe.padding", "Padding")
field("uint64", "probe_ack.number", "Number")
field("uint32", "query", "Query", base.HEX)
field("uint8", "query.class", "Class", base.DEC, classes)
field("uint8", "query.reserved", "Reserved", base.HEX)
field("bytes", "query.selector", "Selector")
field("uint8", "query.shape", "Selector's shape", base.HEX)
bits("query.shape", 8, { [1] = "ipv6", [2] = "virtual" })
field("uint8", "query.protocol", "Protocol", base.DEC, protocols)
field("uint16", "query.cport", "Client port")
field("uint16", "query.vport", "Virtual port")
address("query.caddr", "Client")
address("query.vaddr", "Virtual address")
field("uint8", "answer.options", "Options", base.HEX)
field("bool", "answer.more", "There are more", 8, nil, 1)
field("bool", "answer.failed", "Cannot be answered", 8, nil, 2)
field("uint8", "answer.count", "Count")
field("uint8", "answer.marks", "Marks", base.HEX)
field("bool", "answer.owned", "The sender's own", 8, nil, 1)
field("bool", "answer.told", "Peers were told", 8, nil, 2)
field("uint32", "last_adverts.ago", "Milliseconds since the last advert")
field("bool", "answer.bound", "Bound to a real server", 8, nil, 4)

for version, size in pairs { v1 = 16, ipvs = 32 } do
	field("uint8", version .. ".protocol", "Protocol", base.DEC, protocols)
	field("uint16", version .. ".cport", "Client port")
	field("uint16", version .. ".vport", "Virtual port")
	field("uint16", version .. ".dport", "Real server's port")
	address(version .. ".caddr", "Client")
	address(version .. ".vaddr", "Virtual address")
	address(version .. ".daddr", "Real server")
	field("uint" .. size, version .. ".flags", "Flags", base.HEX)
	field("uint" .. size, version .. ".flags.method", "Forwarding method", base.DEC, methods, 7)
	bits(version .. ".flags", size, flagBits)
	field("uint" .. (size == 16 and 16 or 8), version .. ".state", "State")
	field("string", version .. ".state_name", "State's name")
	for _, direction in ipairs { "in", "out" } do
		for _, what in ipairs { "init", "delta", "previous_delta" } do
			field("uint32", version .. "." .. direction .. "." .. what, direction .. ": " .. what)
		end
	end
end
field("uint8", "v1.reserved", "Reserved", base.HEX)

field("uint8", "ipvs.service", "Service index")
field("uint8", "ipvs.service.shape", "Service's shape", base.HEX)
bits("ipvs.service.shape", 8, { [1] = "ipv6", [2] = "fwmark" })
field("uint32", "ipvs.fwmark", "Firewall mark", base.HEX_DEC)
field("uint8", "ipvs.destination", "Destination index")
field("uint8", "ipvs.destination.shape", "Destination's shape", base.HEX)
bits("ipvs.destination.shape", 8, { [1] = "ipv6", [2] = "port" })
field("uint8", "ipvs.profile", "Profile index")
field("uint8", "ipvs.options", "Options", base.HEX)
bits("ipvs.options", 8, { [1] = "fields" })
field("string", "ipvs.pe_name", "Persistence engine")
field("bytes", "ipvs.pe_data", "Persistence engine's data")

field("uint8", "ct.path", "Path index")
field("uint8", "ct.shape", "Path's shape", base.HEX)
bits("ct.shape", 8, { [1] = "ipv6", [2] = "zone", [4] = "reply_zone", [8] = "source", [16] = "destination" })
field("uint8", "ct.protocol", "Protocol", base.DEC, protocols)
field("uint16", "ct.zone", "Zone of the original direction")
field("uint16", "ct.reply_zone", "Zone of the reply")
address("ct.translated.saddr", "Translated source")
field("uint16", "ct.translated.sport", "Translated source port")
address("ct.translated.daddr", "Translated destination")
field("uint16", "ct.translated.dport", "Translated destination port")
address("ct.saddr", "Source")
field("uint16", "ct.sport", "Source port")
address("ct.daddr", "Destination")
field("uint16", "ct.dport", "Destination port")
field("uint8", "ct.destination", "Destination index")
field("uint8", "ct.profile", "Profile index")
field("uint32", "ct.status", "Status", base.HEX)
bits("ct.status", 32, statusBits)
field("uint8", "ct.state", "State")
field("string", "ct.state_name", "State's name")
field("uint8", "ct.options", "Options", base.HEX)
bits("ct.options", 8, { [1] = "fields", [2] = "mark", [4] = "tcp", [8] = "adjustments", [16] = "tags" })
field("uint32", "ct.mark", "Mark", base.HEX_DEC)
field("uint8", "ct.tcp.scale", "Window scale, original", base.DEC, nil, 0xf0)
field("uint8", "ct.tcp.reply_scale", "Window scale, reply", base.DEC, nil, 0x0f)
field("uint8", "ct.tcp.flags", "TCP flags, original", base.HEX)
field("uint8", "ct.tcp.reply_flags", "TCP flags, reply", base.HEX)
for direction, name in pairs { adjust = "original", reply_adjust = "reply" } do
	field("uint32", "ct." .. direction .. ".position", "Adjustment, " .. name .. ": position")
	field("int32", "ct." .. direction .. ".before", "Adjustment, " .. name .. ": before")
	field("int32", "ct." .. direction .. ".after", "Adjustment, " .. name .. ": after")
end
field("uint32", "ct.tag", "Verification tag, original", base.HEX)
field("uint32", "ct.reply_tag", "Verification tag, reply", base.HEX)
field("bytes", "ct.labels", "Labels")
field("string", "ct.helper", "Helper")
field("uint32", "ct.synproxy.isn", "SYNPROXY: ISN")
field("uint32", "ct.synproxy.its", "SYNPROXY: ITS")
field("uint32", "ct.synproxy.offset", "SYNPROXY: offset of time stamps")

for class, names in pairs { ipvs = ipvsFieldNames, ct = conntrackFieldNames } do
	milliseconds("uint32", class .. ".timeout", "Timeout")
	milliseconds("uint32", class .. ".age", "Age")
	milliseconds("uint64", class .. ".total_age", "Age with what it was held")
	field("uint16", class .. ".fields", "Length of fields", base.DEC + base.UNIT_STRING, { " bytes" })
	field("uint8", class .. ".field.type", "Field", base.HEX, names)
	field("uint8", class .. ".field.length", "Length", base.DEC + base.UNIT_STRING, { " bytes" })
	field("bytes", class .. ".field.value", "Value")
end
ssyncp.fields = registered

---- What is wrong

local experts = {}

local function wrong(name, text, group, severity)
	experts[name] = ProtoExpert.new("lvssyncp.expert." .. name, text, group, severity)
end

wrong("truncated", "Truncated", expert.group.MALFORMED, expert.severity.ERROR)
wrong("malformed", "Malformed", expert.group.MALFORMED, expert.severity.ERROR)
wrong("version", "Unknown version", expert.group.PROTOCOL, expert.severity.WARN)
wrong("checksum", "Wrong checksum", expert.group.CHECKSUM, expert.severity.ERROR)
wrong("tag", "Does not open: forged, damaged, or another key of the same ID", expert.group.SECURITY, expert.severity.ERROR)
wrong("key", "No key with this ID", expert.group.DECRYPTION, expert.severity.NOTE)
wrong("key_file", "Not a key file", expert.group.DECRYPTION, expert.severity.WARN)
wrong("unknown", "Unknown here", expert.group.UNDECODED, expert.severity.NOTE)
wrong("refused", "Entry is refused", expert.group.PROTOCOL, expert.severity.WARN)
ssyncp.experts = experts

-- Fault is what ends the dissection of a part; everything else that is thrown is an
-- error of this script.
local Fault = {}

local function fault(name, text)
	error(setmetatable({ name = name, text = text }, Fault), 0)
end

local function complain(tree, name, text)
	if text then
		tree:add_proto_expert_info(experts[name], text)
	else
		tree:add_proto_expert_info(experts[name])
	end
end

-- within runs what may fault, and says so in the tree.
local function within(tree, f, ...)
	local ok, result = pcall(f, ...)
	if ok then
		return result
	end
	if getmetatable(result) ~= Fault then
		error(result, 0)
	end
	complain(tree, result.name, result.text)
end

---- Reader: takes fields one after the other out of a part of a buffer

local Reader = {}
Reader.__index = Reader

local function reader(tvb, at, stop)
	return setmetatable({ tvb = tvb, at = at, stop = stop }, Reader)
end

function Reader:left()
	return self.stop - self.at
end

function Reader:take(n, what)
	if self:left() < n then
		fault("truncated", what .. " is cut off: " .. n .. " bytes, " .. self:left() .. " are left")
	end
	local range = self.tvb(self.at, n)
	self.at = self.at + n
	return range
end

-- add takes a field, and shows it. rows, where there is one, keeps it to be shown
-- again.
function Reader:add(tree, abbreviation, n, rows)
	local range = self:take(n, abbreviation)
	local item = tree:add(fields[abbreviation], range)
	if rows then
		rows[#rows + 1] = { abbreviation, range }
	end
	return range, item
end

function Reader:number(tree, abbreviation, n, rows)
	local range, item = self:add(tree, abbreviation, n, rows)
	return range:uint(), range, item
end

-- flags shows the bits of a number, too.
function Reader:flags(tree, abbreviation, n, names, rows)
	local value, range, item = self:number(tree, abbreviation, n, rows)
	for _, name in ipairs(names) do
		item:add(fields[name], range)
	end
	if rows then
		rows[#rows][3] = names
	end
	return value, range
end

function Reader:address(tree, abbreviation, ipv6, rows)
	if ipv6 then
		local range = self:add(tree, abbreviation .. "6", 16, rows)
		return "[" .. tostring(range:ipv6()) .. "]"
	end
	local range = self:add(tree, abbreviation, 4, rows)
	return tostring(range:ipv4())
end

-- reserved wants zero.
function Reader:reserved(tree, abbreviation, n)
	if self:number(tree, abbreviation, n) ~= 0 then
		fault("malformed", "reserved, and not 0")
	end
end

local function zero64(range)
	return range(0, 4):uint() == 0 and range(4, 4):uint() == 0
end

local function names(prefix, list)
	local out = {}
	for mask, bit in pairs(list) do
		out[#out + 1] = { mask, prefix .. "." .. bit }
	end
	table.sort(out, function(a, b) return a[1] < b[1] end)
	for i, row in ipairs(out) do
		out[i] = row[2]
	end
	return out
end

local v1Flags, ipvsFlags = names("v1.flags", flagBits), names("ipvs.flags", flagBits)
table.insert(v1Flags, 1, "v1.flags.method")
table.insert(ipvsFlags, 1, "ipvs.flags.method")
local statusFlags = names("ct.status", statusBits)
local pathShape = names("ct.shape", { "ipv6", "zone", [4] = "reply_zone", [8] = "source", [16] = "destination" })
local profileOptions = names("ct.options", { "fields", "mark", [4] = "tcp", [8] = "adjustments", [16] = "tags" })

local function protocolName(p)
	return protocols[p] or tostring(p)
end

local function stateName(table, protocol, state)
	local of = table[protocol]
	return of and of[state] or "ERR!"
end

local function hasAny(value, mask)
	return bit.band(value, mask) ~= 0
end

local function sequences(r, tree, prefix)
	for _, direction in ipairs { "in", "out" } do
		for _, what in ipairs { "init", "delta", "previous_delta" } do
			r:add(tree, prefix .. "." .. direction .. "." .. what, 4)
		end
	end
end

---- Version 1

local seqMask, template, onePacket = 0x0600, 0x1000, 0x2000

local function version1Entry(r, tree, n)
	local item = tree:add(ssyncp, r.tvb(r.at, math.min(24, r:left())), "Entry " .. n)
	return within(item, function()
		r:reserved(item, "v1.reserved", 1)
		local protocol = r:number(item, "v1.protocol", 1)
		local cport = r:number(item, "v1.cport", 2)
		local vport = r:number(item, "v1.vport", 2)
		local dport = r:number(item, "v1.dport", 2)
		local caddr, vaddr, daddr = r:address(item, "v1.caddr"), r:address(item, "v1.vaddr"), r:address(item, "v1.daddr")
		local flags = r:flags(item, "v1.flags", 2, v1Flags)
		local state, range = r:number(item, "v1.state", 2)
		local name = stateName(ipvsStates, hasAny(flags, template) and "template" or protocol, state)
		item:add(fields["v1.state_name"], range, name):set_generated()
		item:append_text((": %s %s:%d > %s:%d > %s:%d, %s"):format(protocolName(protocol), caddr, cport, vaddr, vport, daddr, dport, name))
		if hasAny(flags, onePacket) then
			complain(item, "refused", "ONE_PACKET is never sent")
		end
		if hasAny(flags, seqMask) then
			sequences(r, item, "v1")
			item:set_len(48)
		end
		return true
	end)
end

local function internetChecksum(text)
	local sum = 0
	for i = 1, #text, 2 do
		sum = sum + text:byte(i) * 0x100 + (text:byte(i + 1) or 0)
	end
	while sum > 0xffff do
		sum = sum % 0x10000 + math.floor(sum / 0x10000)
	end
	return sum
end

local function checkChecksum(tvb, item)
	if internetChecksum(tvb:raw(0, tvb:len())) ~= 0xffff then
		complain(item, "checksum")
	end
end

local function checkSize(tvb, size, item)
	if size ~= tvb:reported_len() then
		complain(item, "malformed", "Size is " .. size .. ", and the message has " .. tvb:reported_len() .. " bytes")
	elseif tvb:len() < tvb:reported_len() then
		complain(item, "truncated", "The capture has " .. tvb:len() .. " of " .. size .. " bytes")
	end
end

local function checkSyncID(id, item)
	if id == 0 then
		complain(item, "malformed", "sync ID 0, it must be 1 to 255")
	end
end

local function version1(tvb, tree, info)
	local r = reader(tvb, 0, tvb:len())
	local count, _, countItem = r:number(tree, "count", 1)
	local id, _, idItem = r:number(tree, "sync_id", 1)
	checkSyncID(id, idItem)
	local size, _, sizeItem = r:number(tree, "size", 2)
	checkSize(tvb, size, sizeItem)
	local reserved, _, reservedItem = r:number(tree, "reserved", 2)
	if reserved ~= 0 then
		complain(reservedItem, count == 0 and "version" or "malformed", count == 0 and "Version " .. reserved or "reserved, and not 0")
	end
	local _, checksumItem = r:add(tree, "checksum", 2)
	info("version 1, sync ID " .. id .. ", " .. count .. " entries")
	if reserved ~= 0 and count == 0 then
		return
	end
	checkChecksum(tvb, checksumItem)
	if count > countMax then
		complain(countItem, "malformed", "more than " .. countMax .. " entries")
	end
	for n = 1, count do
		if r:left() == 0 then
			fault("truncated", (n - 1) .. " of " .. count .. " entries are there")
		end
		if not version1Entry(r, tree, n) then
			return
		end
	end
	if r:left() > 0 then
		fault("malformed", r:left() .. " bytes behind the last entry")
	end
end

---- Version 2: entries

-- show adds what a row has to an entry that refers to it.
local function show(tree, rows)
	for _, row in ipairs(rows) do
		local item = tree:add(fields[row[1]], row[2]):set_generated()
		for _, name in ipairs(row[3] or {}) do
			item:add(fields[name], row[2]):set_generated()
		end
	end
end

-- row takes an index, and defines a row where it is new, or shows the one that it is of.
local function row(r, tree, abbreviation, rows, define)
	local index = r:number(tree, abbreviation, 1)
	if index > #rows or index >= tableRows then
		fault("malformed", "index " .. index .. " of a table that has " .. #rows .. " rows")
	end
	if index < #rows then
		show(tree, rows[index + 1].shown)
		return rows[index + 1]
	end
	local new = { shown = {} }
	define(new)
	rows[#rows + 1] = new
	return new
end

local function reservedBits(value, known)
	if hasAny(value, bit.bnot(known)) then
		fault("malformed", "a reserved bit is set")
	end
end

local function inherit(shown, from)
	for _, entry in ipairs(from.shown) do
		shown[#shown + 1] = entry
	end
end

local function varint(r, tree, abbreviation)
	local at, value, scale = r.at, 0, 1
	for n = 1, 5 do
		local octet = r:take(1, "a number"):uint()
		value = value + octet % 0x80 * scale
		scale = scale * 0x80
		if octet < 0x80 then
			if n > 1 and octet == 0 or value > 0xffffffff then
				fault("malformed", "a number is longer than it needs to be, or too large")
			end
			tree:add(fields[abbreviation], r.tvb(at, n), value)
			return value, r.tvb(at, n)
		end
	end
	fault("malformed", "a number is longer than 5 bytes")
end

local function age(r, tree, class, held)
	local value, range = varint(r, tree, class .. ".age")
	tree:add(fields[class .. ".total_age"], range, UInt64(value) + UInt64(held)):set_generated()
end

-- extra dissects the fields of an entry. known returns why the entry is refused, false
-- where it does not know the type, and nil where all is well.
local function extra(r, tree, class, known)
	local length = r:number(tree, class .. ".fields", 2)
	if r:left() < length then
		fault("truncated", "fields reach behind the block")
	end
	local inner, seen = reader(r.tvb, r.at, r.at + length), {}
	while inner:left() > 0 do
		if inner:left() < 2 then
			fault("malformed", "a field reaches behind the fields")
		end
		local kind, _, item = inner:number(tree, class .. ".field.type", 1)
		local size = inner:number(item, class .. ".field.length", 1)
		if inner:left() < size then
			fault("malformed", "a field reaches behind the fields")
		end
		local value = size > 0 and inner:take(size, "field")
		if seen[kind] then
			complain(item, "refused", "a type that comes twice")
		end
		seen[kind] = true
		local why = known(item, kind, size, value)
		if why == false then
			if value then
				item:add(fields[class .. ".field.value"], value)
			end
			if kind >= 0x80 then
				complain(item, "refused", "a mandatory field that is unknown")
			else
				complain(item, "unknown", "field is skipped")
			end
		elseif why then
			if value then
				item:add(fields[class .. ".field.value"], value)
			end
			complain(item, "refused", why)
		end
	end
	r.at = r.at + length
	return seen
end

-- name judges one of 1 to 15 bytes.
local function shortName(size, value)
	return size >= 1 and size <= 15 and not value:raw():find("\0", 1, true)
end

local function ipvsEntry(r, tree, tables, held)
	local where = row(r, tree, "ipvs.destination", tables.destinations, function(new)
		local service = row(r, tree, "ipvs.service", tables.services, function(service)
			local shape = r:flags(tree, "ipvs.service.shape", 1, { "ipvs.service.shape.ipv6", "ipvs.service.shape.fwmark" })
			reservedBits(shape, 3)
			service.ipv6 = hasAny(shape, 1)
			service.protocol = r:number(tree, "ipvs.protocol", 1, service.shown)
			service.port, service.portRange = r:number(tree, "ipvs.vport", 2, service.shown)
			service.address = r:address(tree, "ipvs.vaddr", service.ipv6, service.shown)
			if hasAny(shape, 2) and r:number(tree, "ipvs.fwmark", 4, service.shown) == 0 then
				fault("malformed", "firewall mark 0")
			end
		end)
		inherit(new.shown, service)
		new.service = service
		local shape = r:flags(tree, "ipvs.destination.shape", 1, { "ipvs.destination.shape.ipv6", "ipvs.destination.shape.port" })
		reservedBits(shape, 3)
		new.address = r:address(tree, "ipvs.daddr", hasAny(shape, 1), new.shown)
		if hasAny(shape, 2) then
			new.port = r:number(tree, "ipvs.dport", 2, new.shown)
		else
			new.port = service.port
			tree:add(fields["ipvs.dport"], service.portRange):set_generated()
			new.shown[#new.shown + 1] = { "ipvs.dport", service.portRange }
		end
	end)
	local profile = row(r, tree, "ipvs.profile", tables.profiles, function(new)
		new.flags = r:flags(tree, "ipvs.flags", 4, ipvsFlags, new.shown)
		new.state, new.stateRange = r:number(tree, "ipvs.state", 1, new.shown)
		new.options = r:flags(tree, "ipvs.options", 1, { "ipvs.options.fields" })
		reservedBits(new.options, 1)
		r:add(tree, "ipvs.timeout", 4, new.shown)
	end)
	local service = where.service
	local isTemplate = hasAny(profile.flags, template)
	local name = stateName(ipvsStates, isTemplate and "template" or service.protocol, profile.state)
	tree:add(fields["ipvs.state_name"], profile.stateRange, name):set_generated()
	local port = r:number(tree, "ipvs.cport", 2)
	local client = r:address(tree, "ipvs.caddr", service.ipv6)
	age(r, tree, "ipvs", held)
	if hasAny(profile.flags, seqMask) then
		sequences(r, tree, "ipvs")
	end
	if hasAny(profile.options, 1) then
		local seen = extra(r, tree, "ipvs", function(item, kind, size, value)
			if kind == 0x81 then
				if not shortName(size, value) then
					return "no name of a persistence engine"
				end
				item:add(fields["ipvs.pe_name"], value)
			elseif kind == 0x82 then
				if size == 0 then
					return "no data of a persistence engine"
				end
				item:add(fields["ipvs.pe_data"], value)
			else
				return false
			end
		end)
		if seen[0x81] ~= seen[0x82] or seen[0x81] and not isTemplate then
			complain(tree, "refused", "name or data of a persistence engine alone, or in no template")
		end
	end
	return ("%s %s:%d > %s:%d > %s:%d, %s"):format(protocolName(service.protocol), client, port, service.address, service.port,
		where.address, where.port, name)
end

local function conntrackPath(r, tree, path)
	local shape = r:flags(tree, "ct.shape", 1, pathShape)
	reservedBits(shape, 0x1f)
	path.ipv6, path.source, path.destination = hasAny(shape, 1), hasAny(shape, 8), hasAny(shape, 16)
	path.protocol = r:number(tree, "ct.protocol", 1, path.shown)
	for _, zone in ipairs { { 2, "ct.zone" }, { 4, "ct.reply_zone" } } do
		if hasAny(shape, zone[1]) and r:number(tree, zone[2], 2, path.shown) == 0 then
			fault("malformed", "zone 0")
		end
	end
	if path.source then
		path.translated = r:address(tree, "ct.translated.saddr", path.ipv6, path.shown)
	end
end

local function conntrackEntry(r, tree, tables, held)
	local where = row(r, tree, "ct.destination", tables.destinations, function(new)
		local path = row(r, tree, "ct.path", tables.services, function(path) conntrackPath(r, tree, path) end)
		inherit(new.shown, path)
		new.path = path
		new.port = r:number(tree, "ct.dport", 2, new.shown)
		new.address = r:address(tree, "ct.daddr", path.ipv6, new.shown)
		if path.destination then
			new.translated = ":" .. r:number(tree, "ct.translated.dport", 2, new.shown)
			new.translated = r:address(tree, "ct.translated.daddr", path.ipv6, new.shown) .. new.translated
		end
	end)
	local path = where.path
	local profile = row(r, tree, "ct.profile", tables.profiles, function(new)
		r:flags(tree, "ct.status", 4, statusFlags, new.shown)
		new.state, new.stateRange = r:number(tree, "ct.state", 1, new.shown)
		new.options = r:flags(tree, "ct.options", 1, profileOptions)
		reservedBits(new.options, 0x1f)
		r:add(tree, "ct.timeout", 4, new.shown)
		if hasAny(new.options, 2) then
			r:add(tree, "ct.mark", 4, new.shown)
		end
		if hasAny(new.options, 4) then
			local scales, range = r:number(tree, "ct.tcp.scale", 1, new.shown)
			tree:add(fields["ct.tcp.reply_scale"], range)
			new.shown[#new.shown + 1] = { "ct.tcp.reply_scale", range }
			new.wrongScale = scales >= 0xf0 or scales % 0x10 == 0x0f
			r:add(tree, "ct.tcp.flags", 1, new.shown)
			r:add(tree, "ct.tcp.reply_flags", 1, new.shown)
		end
	end)
	local name = conntrackStates[path.protocol] and stateName(conntrackStates, path.protocol, profile.state)
	if name then
		tree:add(fields["ct.state_name"], profile.stateRange, name):set_generated()
	end
	local port = r:number(tree, "ct.sport", 2)
	local source = r:address(tree, "ct.saddr", path.ipv6)
	local translatedPort = path.source and r:number(tree, "ct.translated.sport", 2)
	age(r, tree, "ct", held)
	if hasAny(profile.options, 8) then
		for _, direction in ipairs { "adjust", "reply_adjust" } do
			for _, what in ipairs { "position", "before", "after" } do
				r:add(tree, "ct." .. direction .. "." .. what, 4)
			end
		end
	end
	if hasAny(profile.options, 16) then
		r:add(tree, "ct.tag", 4)
		r:add(tree, "ct.reply_tag", 4)
	end
	if hasAny(profile.options, 1) then
		extra(r, tree, "ct", function(item, kind, size, value)
			if kind == 1 then
				if size ~= 16 then
					return "labels are not of 16 bytes"
				end
				item:add(fields["ct.labels"], value)
			elseif kind == 2 then
				if not shortName(size, value) then
					return "no name of a helper"
				end
				item:add(fields["ct.helper"], value)
			elseif kind == 3 then
				if size ~= 12 then
					return "SYNPROXY is not of 12 bytes"
				end
				item:add(fields["ct.synproxy.isn"], value(0, 4))
				item:add(fields["ct.synproxy.its"], value(4, 4))
				item:add(fields["ct.synproxy.offset"], value(8, 4))
			else
				return false
			end
		end)
	end
	if hasAny(profile.options, 4) ~= (path.protocol == 6) or hasAny(profile.options, 16) ~= (path.protocol == 132) then
		complain(tree, "refused", "what TCP or SCTP has, in another protocol, or not in its own")
	elseif name == "ERR!" or not name and profile.state ~= 0 then
		complain(tree, "refused", "a state that the protocol does not have")
	elseif profile.wrongScale then
		complain(tree, "refused", "a window scale of 15")
	end
	local text = ("%s %s:%d > %s:%d"):format(protocolName(path.protocol), source, port, where.address, where.port)
	if path.source then
		text = text .. (", source becomes %s:%d"):format(path.translated, translatedPort)
	end
	if where.translated then
		text = text .. ", destination becomes " .. where.translated
	end
	return text .. (name and ", " .. name or "")
end

---- Version 2: blocks

local function advert(r, tree, frame)
	local class = r:number(tree, "advert.class", 1)
	r:reserved(tree, "advert.reserved", 1)
	local count = r:number(tree, "advert.count", 2)
	frame.entries = (frame.entries or 0) + count
	local sequence = r:add(tree, "seq", 8)
	local held = r:number(tree, "advert.held", 4)
	if frame.sequence and frame.sequence ~= sequence:raw() then
		complain(tree, "malformed", "ADVERTs of two sequences")
	end
	frame.sequence = sequence:raw()
	if count == 0 then
		fault("malformed", "no entry")
	end
	local dissect = class == 1 and ipvsEntry or class == 2 and conntrackEntry
	if not dissect then
		if r:left() > 0 then
			r:add(tree, "advert.entries", r:left())
		end
		complain(tree, "unknown", "class " .. class .. " is skipped")
		return
	end
	local tables = { destinations = {}, services = {}, profiles = {} }
	for n = 1, count do
		if r:left() == 0 then
			fault("truncated", (n - 1) .. " of " .. count .. " entries are there")
		end
		local begin = r.at
		local item = tree:add(ssyncp, r.tvb(begin, r:left()), "Entry " .. n)
		local text = within(item, dissect, r, item, tables, held)
		if not text then
			return
		end
		item:append_text(": " .. text)
		item:set_len(r.at - begin)
	end
	if r:left() > 0 then
		fault("malformed", r:left() .. " bytes behind the last entry")
	end
end

local function nonzero(ok, what)
	if not ok then
		fault("malformed", what .. " is out of its range")
	end
end

-- printable reports whether a text is UTF-8 without control characters.
local function printable(text)
	local at = 1
	while at <= #text do
		local a, b = text:byte(at, at + 1)
		local n = a < 0x80 and 1 or a >= 0xc2 and a < 0xe0 and 2 or a >= 0xe0 and a < 0xf0 and 3 or a >= 0xf0 and a < 0xf5 and 4
		if not n or a < 0x20 or a == 0x7f or a == 0xc2 and b and b < 0xa0 or not text:sub(at + 1, at + n - 1):match("^[\128-\191]*$") or
			at + n - 1 > #text or a == 0xe0 and b < 0xa0 or a == 0xed and b >= 0xa0 or a == 0xf0 and b < 0x90 or a == 0xf4 and b >= 0x90 then
			return false
		end
		at = at + n
	end
	return true
end

local function heartbeat(r, tree)
	r:add(tree, "heartbeat.last", 8)
	local state = r:number(tree, "heartbeat.state", 1)
	nonzero(states[state], "State")
	r:reserved(tree, "heartbeat.reserved", 1)
	nonzero(r:number(tree, "heartbeat.interval", 2) ~= 0, "Interval")
	r:add(tree, "heartbeat.entries", 4)
	r:add(tree, "heartbeat.gaps", 4)
	local length = r:number(tree, "heartbeat.name_length", 1)
	nonzero(length <= nameMax, "Name Length")
	if length > 0 then
		local range = r:take(length, "name")
		tree:add(fields["heartbeat.name"], range, range:string(ENC_UTF_8))
		nonzero(printable(range:raw()), "Name")
	end
end

local function peer(r, tree)
	nonzero(r:number(tree, "peer.sender", 4) ~= 0, "Peer's Sender ID")
	r:add(tree, "peer.start", 16)
end

local function challenge(r, tree)
	peer(r, tree)
	r:add(tree, "challenge", 16)
end

-- ranges ascend from a number on, do not overlap, and do not reach over what size has.
local function ranges(r, tree, prefix, size, least, behind)
	local n = r:left() / (size + 4)
	nonzero(n >= least and n <= rangesMax and n % 1 == 0, "The number of ranges")
	for _ = 1, n do
		local first = r:add(tree, prefix .. ".first", size)
		local count = r:number(tree, prefix .. ".count", 4)
		local from = size == 8 and first:uint64() or UInt64(first:uint())
		nonzero(count ~= 0 and (size == 4 or not zero64(first)), "A range")
		nonzero(from >= behind, "The order of ranges")
		behind = from + UInt64(count)
		nonzero(behind > from and (size == 8 or behind <= UInt64(0, 1)), "The end of a range")
	end
end

local function nack(r, tree)
	peer(r, tree)
	ranges(r, tree, "nack", 8, 1, UInt64(1))
end

local function gone(r, tree)
	local first, last = r:add(tree, "gone.first", 8), r:add(tree, "gone.last", 8)
	nonzero(not zero64(first) and first:uint64() <= last:uint64(), "First")
end

local function options(r, tree, list, known)
	reservedBits(r:flags(tree, "snapshot.options", 4, list), known)
end

local function snapshotRequest(r, tree)
	peer(r, tree)
	r:add(tree, "snapshot.request", 4)
	nonzero(r:number(tree, "snapshot.classes", 4) ~= 0, "Classes")
	options(r, tree, { "snapshot.owned" }, 1)
end

local function snapshotChunk(r, tree, frame)
	if frame.chunk then
		complain(tree, "malformed", "two CHUNKs")
	end
	frame.chunk = true
	peer(r, tree)
	r:add(tree, "snapshot.request", 4)
	r:add(tree, "snapshot.number", 4)
	options(r, tree, { "snapshot.last", "snapshot.refused" }, 3)
end

local function snapshotAck(r, tree)
	peer(r, tree)
	r:add(tree, "snapshot.request", 4)
	local behind = r:number(tree, "snapshot.next", 4)
	ranges(r, tree, "snapshot.missing", 4, 0, UInt64(behind))
end

local function probe(r, tree)
	if r:left() > 0 then
		r:add(tree, "probe.padding", r:left())
	end
end

local function probeAck(r, tree)
	peer(r, tree)
	nonzero(not zero64((r:add(tree, "probe_ack.number", 8))), "Number")
end

-- selector shows those that are whole; others are octets, and for their class to
-- judge.
local function selector(r, tree, class)
	local size = r:left()
	nonzero(size <= selectorMax, "Selector")
	if size == 0 then
		return
	end
	local _, item = reader(r.tvb, r.at, r.stop):add(tree, "query.selector", size)
	local shape = r.tvb(r.at, 1):uint()
	local ends = hasAny(shape, 2) and 2 or 1
	if (class ~= 1 and class ~= 2) or shape > 3 or size ~= 2 + ends * (hasAny(shape, 1) and 18 or 6) then
		r:take(size, "query.selector")
		return
	end
	r:flags(item, "query.shape", 1, { "query.shape.ipv6", "query.shape.virtual" })
	r:number(item, "query.protocol", 1)
	for _, side in ipairs { "c", "v" } do
		if r:left() > 0 then
			r:number(item, "query." .. side .. "port", 2)
			r:address(item, "query." .. side .. "addr", hasAny(shape, 1))
		end
	end
end

local function query(r, tree)
	peer(r, tree)
	nonzero(r:number(tree, "query", 4) ~= 0, "Query")
	local class = r:number(tree, "query.class", 1)
	r:reserved(tree, "query.reserved", 1)
	selector(r, tree, class)
end

-- blockOf takes a block, and has it dissected by its type.
local function blockOf(r, tree, info, frame, dissectorOf)
	local item = tree:add(ssyncp, r.tvb(r.at, r:left()), "Block")
	local begin = r.at
	local kind = r:number(item, "block.type", 1)
	local name = blockNames[kind] or ("block type 0x%02x"):format(kind)
	item:set_text(name)
	info(name)
	local reserved, _, reservedItem = r:number(item, "block.reserved", 1)
	if reserved ~= 0 then
		complain(reservedItem, "malformed", "reserved, and not 0")
	end
	local length = r:number(item, "block.length", 2)
	if length > r:left() then
		complain(item, "truncated", "the block reaches behind the body")
		length = r:left()
	end
	local inner = reader(r.tvb, r.at, r.at + length)
	r.at = r.at + length
	item:set_len(r.at - begin)
	local dissect = dissectorOf(kind)
	if dissect then
		local done = within(item, function()
			dissect(inner, item, frame)
			return true
		end)
		if done and inner:left() > 0 then
			inner:add(item, "block.later", inner:left())
		end
		return
	end
	if length > 0 then
		inner:add(item, "block.unknown", length)
	end
	complain(item, kind >= 0x80 and "malformed" or "unknown", kind >= 0x80 and "a mandatory block that is unknown" or "block is skipped")
end

local function answer(r, tree)
	peer(r, tree)
	nonzero(r:number(tree, "query", 4) ~= 0, "Query")
	reservedBits(r:flags(tree, "answer.options", 1, { "answer.more", "answer.failed" }), 3)
	local count = r:number(tree, "answer.count", 1)
	nonzero(count <= objectsMax, "Count")
	for _ = 1, count do
		reservedBits(r:flags(tree, "answer.marks", 1, { "answer.owned", "answer.told", "answer.bound" }), 7)
	end
	local objects = { entries = 0 }
	while r:left() > 0 do
		blockOf(r, tree, function() end, objects, function(kind)
			if kind ~= 0x01 then
				complain(tree, "malformed", "another block than ADVERTs")
			end
			return kind == 0x01 and advert
		end)
	end
	if objects.entries ~= count then
		complain(tree, "malformed", objects.entries .. " entries, and not Count")
	end
	if objects.sequence and objects.sequence ~= ("\0"):rep(8) then
		complain(tree, "malformed", "Sequence is not 0")
	end
end

local function lastAdverts(r, tree)
	peer(r, tree)
	nonzero(r:number(tree, "query", 4) ~= 0, "Query")
	nonzero(r:left() > 0 and r:left() <= 4 * objectsMax, "Ago")
	while r:left() > 0 do
		local ago, _, item = r:number(tree, "last_adverts.ago", 4)
		if ago == 0xffffffff then
			item:append_text(" (not known)")
		end
	end
end

local dissectors = {
	[0x01] = advert, [0x02] = heartbeat, [0x03] = challenge, [0x04] = challenge, [0x05] = nack, [0x06] = gone,
	[0x07] = snapshotRequest, [0x08] = snapshotChunk, [0x09] = snapshotAck, [0x0a] = probe, [0x0b] = probeAck,
	[0x0c] = query, [0x0d] = answer, [0x0e] = lastAdverts,
}

local function body(r, tree, info)
	nonzero(r:number(tree, "sender", 4) ~= 0, "Sender ID")
	r:add(tree, "start", 16)
	local number = r:add(tree, "frame_number", 8)
	nonzero(not zero64(number), "Frame Number")
	if r:left() == 0 then
		fault("malformed", "no block")
	end
	local frame = {}
	while r:left() > 0 do
		blockOf(r, tree, info, frame, function(kind) return dissectors[kind] end)
	end
	if frame.sequence and (frame.sequence == ("\0"):rep(8)) ~= (frame.chunk or false) then
		complain(tree, "malformed", "Sequence is 0 in a snapshot, and only there")
	end
end

---- Version 2: keys and frames

local keys, keysOf, keyTrouble = {}, nil, nil

local function loadKeys()
	if keysOf == ssyncp.prefs.key_files then
		return
	end
	keys, keysOf, keyTrouble = {}, ssyncp.prefs.key_files, nil
	for path in keysOf:gmatch("[^;]+") do
		path = path:match("^%s*(.-)%s*$")
		local file, why = io.open(path, "rb")
		local text = file and file:read(256)
		if file then
			file:close()
		end
		local key = text and seal.parseKeyFile(text)
		if key then
			keys[#keys + 1] = { id = seal.keyID(key), key = key, path = path }
		else
			keyTrouble = (keyTrouble and keyTrouble .. "; " or "") .. (why or path .. ": not a key file")
		end
	end
end

local function sealedFrame(tvb, r, tree, id, idItem, info)
	local nonce = r:add(tree, "nonce", nonceSize)
	if r:left() < tagSize then
		fault("truncated", "no room for the tag")
	end
	local size = r:left() - tagSize
	local sealed = size > 0 and r:add(tree, "sealed", size):raw() or ""
	local tag, tagItem = r:add(tree, "tag", tagSize)
	loadKeys()
	if keyTrouble then
		complain(idItem, "key_file", keyTrouble)
	end
	if tvb:len() < tvb:reported_len() then
		return -- the tag is of the whole frame
	end
	local known = false
	for _, key in ipairs(keys) do
		if key.id == id then
			known = true
			local opened = seal.open(key.key, nonce:raw(), tvb:raw(0, headerSize + nonceSize), sealed, tag:raw())
			if opened then
				tree:add(fields.key_file, key.path):set_generated()
				if #opened == 0 then
					fault("malformed", "the body is empty")
				end
				local inner = ByteArray.new(opened, true):tvb("SSYNCP body")
				return body(reader(inner, 0, inner:len()), tree, info)
			end
		end
	end
	if known then
		info("does not open")
		complain(tagItem, "tag")
	else
		info(("sealed with key %04x"):format(id))
		complain(idItem, "key", ("No key with the ID %04x: set lvssyncp.key_files"):format(id))
	end
end

local function version2(tvb, tree, info)
	local r = reader(tvb, 0, tvb:len())
	r:add(tree, "count", 1)
	local syncID, _, syncItem = r:number(tree, "sync_id", 1)
	checkSyncID(syncID, syncItem)
	local size, _, sizeItem = r:number(tree, "size", 2)
	checkSize(tvb, size, sizeItem)
	r:add(tree, "version", 2)
	local checksum, _, checksumItem = r:number(tree, "checksum", 2)
	local suite, _, suiteItem = r:number(tree, "suite", 1)
	local reserved, _, reservedItem = r:number(tree, "suite_reserved", 1)
	if reserved ~= 0 then
		complain(reservedItem, "malformed", "reserved, and not 0")
	end
	local id, _, idItem = r:number(tree, "key_id", 2)
	if suite == 0 then
		if id ~= 0 then
			complain(idItem, "malformed", "a key ID without a key")
		end
		checkChecksum(tvb, checksumItem)
		body(r, tree, info)
	elseif suite == 1 then
		if checksum ~= 0 then
			complain(checksumItem, "malformed", "reserved in suite 1, and not 0")
		end
		sealedFrame(tvb, r, tree, id, idItem, info)
	else
		complain(suiteItem, "version", "unknown suite")
	end
end

---- Registration

function ssyncp.dissector(tvb, pinfo, root)
	pinfo.cols.protocol = "SSYNCP"
	local tree = root:add(ssyncp, tvb())
	local parts = {}
	within(tree, function()
		local second = tvb:len() >= 6 and tvb(0, 1):uint() == 0 and tvb(4, 2):uint() == 2
		return (second and version2 or version1)(tvb, tree, function(text) parts[#parts + 1] = text end)
	end)
	pinfo.cols.info = table.concat(parts, ", ")
	return tvb:len()
end

local port = 0

local function listen()
	if port ~= ssyncp.prefs.udp_port then
		local udp = DissectorTable.get("udp.port")
		if port ~= 0 then
			udp:remove(port, ssyncp)
		end
		port = ssyncp.prefs.udp_port
		if port ~= 0 then
			udp:add(port, ssyncp)
		end
	end
end

ssyncp.prefs_changed = listen
ssyncp.init = listen
DissectorTable.get("ip.proto"):add(ipProtocol, ssyncp)
listen()
