// Package impact says what rescued food comes to: from a quantity in a unit to
// grams, and from grams to meals and to greenhouse gas that was not emitted in vain.
//
// The factors are a named set with a version. A set that was used is never changed:
// a better number makes a new set with a name of its own, and whoever shows numbers
// shows the name too, so that two reports can be compared or are seen to differ.
//
// What is a weight is counted exactly. A litre, a portion or a box is counted by a
// table of defaults and says so, and what nobody knows counts nothing and says so
// (ADR 0015).
//
// The package is pure and imports the standard library alone. Everything may be
// used from many goroutines.
package impact

import (
	"cmp"
	"math"
)

// Factors is a named set of factors.
type Factors struct {
	Name      string  // with its version
	MealGrams float64 // grams of food in a meal
	CO2e      float64 // kilograms of CO2 equivalent for each kilogram of food
	units     map[string]measure
}

// measure is what one of a unit weighs.
type measure struct {
	grams    float64
	estimate bool // a default, no weight
}

// Default returns the set that Larder counts with:
//
//   - a meal is 420 g: WRAP's recommendation for redistributed food in the United
//     Kingdom, 2,381 meals a tonne, as told by Neighbourly on 28 June 2018;
//   - a kilogram of food stands for 1.60 kg CO2e: 10,698 t for 6,699 t of
//     redistributed food, FareShare and the Carbon Trust 2021, for the year 2019/20.
//     It is gross: with the operations of FareShare itself taken off it was 1.41;
//   - what other units than weights hold is our own table, on the low side.
//
// Published factors for greenhouse gas go from 0.5 to 4.2: this one is from the
// only study of redistribution by a third party that we know.
func Default() Factors { return wrapFareShare2021 }

var wrapFareShare2021 = Factors{Name: "wrap-fareshare-2021.1", MealGrams: 420, CO2e: 1.60, units: unitsOf(420)}

// Impact is what food comes to. Its zero value is none, and Plus adds two.
type Impact struct {
	Grams     float64
	Estimated float64 // grams of it that come from a table of defaults
	Meals     float64
	CO2e      float64 // kilograms
	Uncounted bool    // there was food in it whose weight nobody can tell; it counts nothing
	FactorSet string  // the name of the factors; empty when nothing was counted
}

// most bounds the grams of one quantity: a thousand million tonnes. What is more
// is a mistake, and no sum of such mistakes is infinite.
const most = 1e15

// Of returns what a quantity in a unit comes to. Units are compared without case,
// dots and the s of the plural. A quantity that is none (negative, not a number)
// and a unit that is not in the table count nothing: then Uncounted is set.
func (f Factors) Of(quantity float64, unit string) Impact {
	m, known := f.lookUp(unit)
	if !known || !(quantity >= 0) {
		return Impact{Uncounted: true, FactorSet: f.Name}
	}
	i := Impact{Grams: min(quantity*m.grams, most), FactorSet: f.Name}
	if m.estimate {
		i.Estimated = i.Grams
	}
	i.Meals = i.Grams / f.MealGrams
	i.CO2e = i.Grams / 1000 * f.CO2e
	return i
}

// Plus returns the sum of two impacts of the same factors.
func (i Impact) Plus(j Impact) Impact {
	i.Grams += j.Grams
	i.Estimated += j.Estimated
	i.Meals += j.Meals
	i.CO2e += j.CO2e
	i.Uncounted = i.Uncounted || j.Uncounted
	i.FactorSet = cmp.Or(i.FactorSet, j.FactorSet)
	return i
}

// WholeMeals is the meals of i, rounded down: nobody eats a part of one.
func (i Impact) WholeMeals() int64 {
	return int64(min(math.Floor(i.Meals+1e-6), 1<<53)) // a sum of tenths is never exact
}

// Kg is the weight in kilograms, to a tenth.
func (i Impact) Kg() float64 { return tenths(i.Grams / 1000) }

// EstimatedKg is the estimated part of the weight in kilograms, to a tenth.
func (i Impact) EstimatedKg() float64 { return tenths(i.Estimated / 1000) }

// CO2eKg is the kilograms of CO2 equivalent, to a tenth.
func (i Impact) CO2eKg() float64 { return tenths(i.CO2e) }

func tenths(x float64) float64 { return math.Round(x*10) / 10 }
