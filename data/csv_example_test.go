package data_test

import (
	"fmt"
	"strings"

	"github.com/halfgrad/halfgrad/data"
)

// A file of measurements, standardised by those of its rows that are trained on.
func ExampleReadCSV() {
	const flowers = `length,width,species
1.4,0.2,setosa
4.7,1.4,versicolor
1.3,0.4,setosa
4.5,1.5,versicolor
`
	table, err := data.ReadCSV(strings.NewReader(flowers), "flowers.csv", data.CSVConfig{})
	if err != nil {
		fmt.Println(err)
		return
	}
	train, validation, err := data.Split(table, 1, 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	mean, std, err := data.MeanStd(train)
	if err != nil {
		fmt.Println(err)
		return
	}
	train, validation = data.Standardize(train, mean, std), data.Standardize(validation, mean, std)
	fmt.Println(train.Len(), "samples to train on,", validation.Len(), "to validate with")
	fmt.Println(table.InputColumns()[0].Columns, "tell", table.TargetColumns()[0].Names)

	_, err = data.ReadCSV(strings.NewReader("length,width,species\n1.4,O.2,setosa\n"), "typo.csv", data.CSVConfig{})
	fmt.Println(err)
	// Output:
	// 3 samples to train on, 1 to validate with
	// [length width] tell [setosa versicolor]
	// data: typo.csv: line 2, column "width": found "O.2", expected a number
}
