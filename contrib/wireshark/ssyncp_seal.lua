-- SPDX-License-Identifier: MIT
-- XChaCha20-Poly1305 and the ID of a key, for ssyncp.lua: what libgcrypt has of it,
-- Wireshark does not offer to Lua. The bit library is in every Wireshark, whichever
-- version of Lua that has; its numbers are signed.

local bxor, band, bnot, rol, ror, rshift, tobit = bit.bxor, bit.band, bit.bnot, bit.rol, bit.ror, bit.rshift, bit.tobit
local floor = math.floor
local seal = {}

-- word returns the little-endian number at an offset, counted from 1.
local function word(s, at)
	local a, b, c, d = s:byte(at, at + 3)
	return tobit(a + b * 0x100 + c * 0x10000 + d * 0x1000000)
end

local function octets(w)
	return band(w, 0xff), band(rshift(w, 8), 0xff), band(rshift(w, 16), 0xff), band(rshift(w, 24), 0xff)
end

local function quarter(s, i, j, k, l)
	local a, b, c, d = s[i], s[j], s[k], s[l]
	a = tobit(a + b); d = rol(bxor(d, a), 16)
	c = tobit(c + d); b = rol(bxor(b, c), 12)
	a = tobit(a + b); d = rol(bxor(d, a), 8)
	c = tobit(c + d); b = rol(bxor(b, c), 7)
	s[i], s[j], s[k], s[l] = a, b, c, d
end

local function rounds(s)
	for _ = 1, 10 do
		quarter(s, 1, 5, 9, 13)
		quarter(s, 2, 6, 10, 14)
		quarter(s, 3, 7, 11, 15)
		quarter(s, 4, 8, 12, 16)
		quarter(s, 1, 6, 11, 16)
		quarter(s, 2, 7, 12, 13)
		quarter(s, 3, 8, 9, 14)
		quarter(s, 4, 5, 10, 15)
	end
end

-- state is the matrix of a key of eight words and the four that follow it.
local function state(key, a, b, c, d)
	local s = { 0x61707865, 0x3320646e, 0x79622d32, 0x6b206574 }
	for i = 1, 8 do
		s[4 + i] = key[i]
	end
	s[13], s[14], s[15], s[16] = a, b, c, d
	return s
end

local function keyWords(key)
	local words = {}
	for i = 1, 8 do
		words[i] = word(key, 4 * i - 3)
	end
	return words
end

-- subkey is HChaCha20.
local function subkey(key, nonce)
	local s = state(keyWords(key), word(nonce, 1), word(nonce, 5), word(nonce, 9), word(nonce, 13))
	rounds(s)
	return { s[1], s[2], s[3], s[4], s[13], s[14], s[15], s[16] }
end

-- block is one of ChaCha20, as 16 words.
local function block(key, counter, nonce)
	local begin = state(key, counter, 0, word(nonce, 17), word(nonce, 21))
	local s = state(key, counter, 0, begin[15], begin[16])
	rounds(s)
	for i = 1, 16 do
		s[i] = tobit(s[i] + begin[i])
	end
	return s
end

-- Poly1305 on ten limbs of 13 bits: sums of their products stay far below the 53
-- bits that a number of Lua 5.2 has.
local limbSize = 0x2000

local function limbs(p, at, last)
	local out, n, sum, scale = {}, 0, 0, 1
	for i = 0, 16 do
		sum = sum + (i < 16 and p[at + i] or last) * scale
		scale = scale * 0x100
		if scale >= limbSize then
			n = n + 1
			out[n] = sum % limbSize
			sum = floor(sum / limbSize)
			scale = floor(scale / limbSize)
		end
	end
	return out
end

local function carry(h)
	local c = 0
	for i = 1, 10 do
		c = c + h[i]
		h[i] = c % limbSize
		c = floor(c / limbSize)
	end
	return c
end

local function poly1305(key, p)
	local clamped = {}
	for i = 1, 16 do
		clamped[i] = key[i]
	end
	for _, i in ipairs { 4, 8, 12, 16 } do
		clamped[i] = band(clamped[i], 0x0f)
	end
	for _, i in ipairs { 5, 9, 13 } do
		clamped[i] = band(clamped[i], 0xfc)
	end
	local r = limbs(clamped, 1, 0)
	local h = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }
	for at = 1, #p, 16 do
		local m = limbs(p, at, 1)
		for i = 1, 10 do
			m[i] = m[i] + h[i]
		end
		for i = 1, 10 do
			local low, high = 0, 0
			for j = 1, i do
				low = low + m[j] * r[i - j + 1]
			end
			for j = i + 1, 10 do
				high = high + m[j] * r[i - j + 11]
			end
			h[i] = low + 5 * high
		end
		repeat
			local c = carry(h)
			h[1] = h[1] + 5 * c
		until c == 0
	end
	-- Modulo 2^130 - 5.
	local g = {}
	for i = 1, 10 do
		g[i] = h[i]
	end
	g[1] = g[1] + 5
	if carry(g) > 0 then
		h = g
	end
	local tag, sum, scale, at, c = {}, 0, 1, 1, 0
	for i = 1, 16 do
		while scale < 0x100 do
			sum = sum + h[at] * scale
			scale = scale * limbSize
			at = at + 1
		end
		c = c + sum % 0x100 + key[16 + i]
		tag[i] = c % 0x100
		c = floor(c / 0x100)
		sum = floor(sum / 0x100)
		scale = floor(scale / 0x100)
	end
	return tag
end

local function append(p, s)
	for i = 1, #s do
		p[#p + 1] = s:byte(i)
	end
	while #p % 16 ~= 0 do
		p[#p + 1] = 0
	end
end

local function appendLength(p, n)
	for _ = 1, 8 do
		p[#p + 1] = n % 0x100
		n = floor(n / 0x100)
	end
end

-- open returns what was sealed, nil where the tag is not of it. All are strings.
function seal.open(key, nonce, additional, sealed, tag)
	local sub = subkey(key, nonce)
	local once = {}
	for i, w in ipairs(block(sub, 0, nonce)) do
		once[4 * i - 3], once[4 * i - 2], once[4 * i - 1], once[4 * i] = octets(w)
	end
	local p = {}
	append(p, additional)
	append(p, sealed)
	appendLength(p, #additional)
	appendLength(p, #sealed)
	for i, octet in ipairs(poly1305(once, p)) do
		if octet ~= tag:byte(i) then
			return nil
		end
	end
	local out = {}
	for at = 1, #sealed, 64 do
		local stream = block(sub, floor(at / 64) + 1, nonce)
		for i = 1, 16 do
			local from = at + 4 * (i - 1)
			local a, b, c, d = octets(stream[i])
			local left = #sealed - from + 1
			if left >= 4 then
				local e, f, g, h = sealed:byte(from, from + 3)
				out[#out + 1] = string.char(bxor(a, e), bxor(b, f), bxor(c, g), bxor(d, h))
			else
				for n, k in ipairs { a, b, c } do
					if n <= left then
						out[#out + 1] = string.char(bxor(k, sealed:byte(from + n - 1)))
					end
				end
				break
			end
		end
	end
	return table.concat(out)
end

-- fraction returns the first 32 bits behind the point.
local function fraction(x)
	return floor((x % 1) * 0x100000000)
end

local primes = {}
for n = 2, 311 do
	local prime = true
	for _, p in ipairs(primes) do
		prime = prime and n % p ~= 0
	end
	if prime then
		primes[#primes + 1] = n
	end
end

-- keyID returns the first two octets of SHA-256 of a text that is one block with its
-- padding.
function seal.keyID(key)
	local text = "ssyncp key ID" .. key
	local message = text .. "\128" .. ("\0"):rep(64 - #text - 3) .. string.char(floor(#text * 8 / 0x100), #text * 8 % 0x100)
	local w = {}
	for i = 1, 16 do
		local a, b, c, d = message:byte(4 * i - 3, 4 * i)
		w[i] = tobit(a * 0x1000000 + b * 0x10000 + c * 0x100 + d)
	end
	for i = 17, 64 do
		local x, y = w[i - 15], w[i - 2]
		w[i] = tobit(w[i - 16] + bxor(ror(x, 7), ror(x, 18), rshift(x, 3)) + w[i - 7] + bxor(ror(y, 17), ror(y, 19), rshift(y, 10)))
	end
	local v = {}
	for i = 1, 8 do
		v[i] = tobit(fraction(primes[i] ^ (1 / 2)))
	end
	local first = v[1]
	local a, b, c, d, e, f, g, h = v[1], v[2], v[3], v[4], v[5], v[6], v[7], v[8]
	for i = 1, 64 do
		local t = tobit(h + bxor(ror(e, 6), ror(e, 11), ror(e, 25)) + bxor(band(e, f), band(bnot(e), g)) +
			fraction(primes[i] ^ (1 / 3)) + w[i])
		local u = tobit(bxor(ror(a, 2), ror(a, 13), ror(a, 22)) + bxor(band(a, b), band(a, c), band(b, c)))
		a, b, c, d, e, f, g, h = tobit(t + u), a, b, c, tobit(d + t), e, f, g
	end
	return rshift(tobit(first + a), 16)
end

local alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

-- parseKeyFile returns the key of a key file's contents, nil where it has none.
function seal.parseKeyFile(text)
	local encoded = text:match("^ssyncp%-key%-1:([%w+/]+)=\n?$")
	if not encoded or #encoded ~= 43 then
		return nil
	end
	local out, sum, bits = {}, 0, 0
	for i = 1, #encoded do
		sum = sum * 64 + alphabet:find(encoded:sub(i, i), 1, true) - 1
		bits = bits + 6
		if bits >= 8 then
			bits = bits - 8
			local scale = 2 ^ bits
			out[#out + 1] = string.char(floor(sum / scale))
			sum = floor(sum % scale)
		end
	end
	local key = table.concat(out)
	if sum ~= 0 or key == ("\0"):rep(32) then
		return nil
	end
	return key
end

return seal
