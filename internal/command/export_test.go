package command

// Watch is watch, for tests that bring a terminal.
var Watch = watch
