package figure_test

import (
	"bytes"
	"fmt"
	"log"
	"strings"

	"github.com/halfgrad/halfgrad/cmd/halfgrad/internal/figure"
)

func Example() {
	const metrics = `{"event":"start","epoch":0,"steps":0,"epochs":2,"lr":0.1,"loss_scale":"dynamic"}
{"event":"skip","epoch":1,"steps":3,"loss_scale":32768}
{"event":"epoch","epoch":1,"steps":430,"train_loss":0.24,"validation_loss":0.13,"loss_scale":32768,"skipped_steps":1}
{"event":"epoch","epoch":2,"steps":860,"train_loss":0.09,"validation_loss":0.11,"loss_scale":32768,"skipped_steps":0}
`
	run, err := figure.ReadRun("fp16.jsonl", strings.NewReader(metrics))
	if err != nil {
		log.Fatal(err)
	}
	runs, err := figure.Runs([]*figure.Run{run}, figure.Epochs)
	if err != nil {
		log.Fatal(err)
	}
	var svg bytes.Buffer
	if err := runs.Write(&svg, "run.svg"); err != nil {
		log.Fatal(err)
	}
	for _, panel := range []string{"Loss", "Accuracy", "Loss scale", "Skipped steps, in all"} {
		fmt.Println(panel, strings.Contains(svg.String(), ">"+panel+"<"))
	}
	// Output:
	// Loss true
	// Accuracy false
	// Loss scale true
	// Skipped steps, in all true
}
