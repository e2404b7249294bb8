#include "textflag.h"

// func spin(n int64)
TEXT ·spin(SB), NOSPLIT, $0-8
	MOVQ n+0(FP), CX
again:
	DECQ CX
	JNZ  again
	RET
