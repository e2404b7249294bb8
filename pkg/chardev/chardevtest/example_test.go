package chardevtest_test

import (
	"fmt"

	"github.com/ssyncp/ssyncp/pkg/chardev"
	"github.com/ssyncp/ssyncp/pkg/chardev/chardevtest"
)

func ExampleModule() {
	var module chardevtest.Module
	dev := module.Open()
	defer dev.Close()
	if err := dev.Attach(chardev.AttachOptions{Mode: chardev.ModeCapture}); err != nil {
		fmt.Println(err)
		return
	}
	module.Raise(chardev.EventMasterRunning)
	batch := chardev.NewBatch(chardev.DefaultBatchSize)
	ok, err := dev.ReadBatch(batch)
	fmt.Println(ok, err, batch.Events())
	// Output:
	// true <nil> master_running
}
