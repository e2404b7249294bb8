package chardev

import "github.com/ssyncp/ssyncp/pkg/ipvs"

// AppendRecord appends a connection record for [Device.Write]. Reserved fields
// and padding are zero. Timeout and Age are rounded to milliseconds (a Timeout
// never down to 0, which means unknown) and limited to what 32 bits hold,
// about 49 days. The error is [ErrFamily] or [ErrPE]; dst is then as it was.
func AppendRecord(dst []byte, c *ipvs.Conn) ([]byte, error) { return dst, nil }
