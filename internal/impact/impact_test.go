package impact_test

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"larder/internal/impact"
)

// The factors are written out here: who changes one has to make a new set.
func TestDefaultIsWhatItsNameSays(t *testing.T) {
	f := impact.Default()
	if f.Name != "wrap-fareshare-2021.1" || f.MealGrams != 420 || f.CO2e != 1.60 {
		t.Errorf("got %s: %g g a meal, %g kg CO2e a kg", f.Name, f.MealGrams, f.CO2e)
	}
	got := f.Of(4.2, "kg")
	if got.Grams != 4200 || got.WholeMeals() != 10 || math.Abs(got.CO2e-6.72) > 1e-12 || got.FactorSet != f.Name {
		t.Errorf("4.2 kg: got %+v, want 4,200 g, 10 meals, 6.72 kg CO2e", got)
	}
}

func TestUnits(t *testing.T) {
	exact, estimate := false, true
	for _, tc := range []struct {
		unit     string
		grams    float64
		estimate bool
	}{
		{"kg", 1000, exact},
		{"KG", 1000, exact},
		{" Kgs. ", 1000, exact},
		{"Kilograms", 1000, exact},
		{"kilogramme", 1000, exact},
		{"kilos", 1000, exact},
		{"kg(s)", 1000, exact},
		{"g", 1, exact},
		{"G", 1, exact},
		{"grams", 1, exact},
		{"gms", 1, exact},
		{"mg", 0.001, exact},
		{"quintals", 100_000, exact},
		{"t", 1e6, exact},
		{"tonnes", 1e6, exact},
		{"Metric  Tons", 1e6, exact},
		{"lb", 453.59237, exact},
		{"LBS", 453.59237, exact},
		{"pounds", 453.59237, exact},
		{"oz", 28.349523125, exact},
		{"Ounces", 28.349523125, exact},
		{"stone", 6350.29318, exact},
		{"tons", 907_184.74, estimate},
		{"l", 1000, estimate},
		{"L", 1000, estimate},
		{"liters", 1000, estimate},
		{"Litre", 1000, estimate},
		{"ltrs", 1000, estimate},
		{"ml", 1, estimate},
		{"mls", 1, estimate},
		{"fl. oz.", 29.5735295625, estimate},
		{"cups", 236.5882365, estimate},
		{"pints", 473.176473, estimate},
		{"gallons", 3785.411784, estimate},
		{"portions", 420, estimate},
		{"Servings", 420, estimate},
		{"meal", 420, estimate},
		{"plates", 420, estimate},
		{"dishes", 420, estimate},
		{"pieces", 100, estimate},
		{"PCS", 100, estimate},
		{"items", 100, estimate},
		{"dozen", 1200, estimate},
		{"boxes", 3000, estimate},
		{"box(es)", 3000, estimate},
		{"trays", 2500, estimate},
		{"crate", 8000, estimate},
		{"bags", 1000, estimate},
		{"packets", 400, estimate},
		{"loaves", 500, estimate},
		{"glasses", 250, estimate},
		{"sandwiches", 150, estimate},
		{"pallets", 300_000, estimate},
	} {
		got := impact.Default().Of(2, tc.unit)
		estimated := 0.0
		if tc.estimate {
			estimated = 2 * tc.grams
		}
		if got.Grams != 2*tc.grams || got.Estimated != estimated || got.Uncounted {
			t.Errorf("2 %q: got %g g, %g of them estimated, uncounted %t, want %g g, estimated %g",
				tc.unit, got.Grams, got.Estimated, got.Uncounted, 2*tc.grams, estimated)
		}
	}
}

func TestWhatNobodyKnowsCountsNothing(t *testing.T) {
	for _, tc := range []struct {
		quantity float64
		unit     string
	}{
		{3, "hampers"},
		{3, ""},
		{3, "s"},
		{3, "kg of rice"},
		{3, "k g"},
		{3, "कुछ"},
		{-3, "kg"},
		{math.NaN(), "kg"},
		{math.Inf(-1), "kg"},
	} {
		if got := impact.Default().Of(tc.quantity, tc.unit); got != (impact.Impact{Uncounted: true, FactorSet: impact.Default().Name}) {
			t.Errorf("%g %q: got %+v, want nothing, and that it says so", tc.quantity, tc.unit, got)
		}
	}
	if got := impact.Default().Of(0, "kg"); got != (impact.Impact{FactorSet: impact.Default().Name}) {
		t.Errorf("0 kg: got %+v, want nothing, and no doubt about it", got)
	}
	if got := (impact.Impact{}); got.WholeMeals() != 0 || got.Kg() != 0 || got.CO2eKg() != 0 {
		t.Errorf("the zero value: got %d meals, %g kg, %g kg CO2e", got.WholeMeals(), got.Kg(), got.CO2eKg())
	}
}

func TestRounding(t *testing.T) {
	f := impact.Default()
	for _, tc := range []struct {
		kg        float64
		meals     int64
		wantKg    float64
		wantCO2e  float64
		wantGrams float64
	}{
		{0.419, 0, 0.4, 0.7, 419},
		{0.42, 1, 0.4, 0.7, 420},
		{0.84, 2, 0.8, 1.3, 840},
		{12.34, 29, 12.3, 19.7, 12340},
	} {
		got := f.Of(tc.kg, "kg")
		if got.WholeMeals() != tc.meals || got.Kg() != tc.wantKg || got.CO2eKg() != tc.wantCO2e || math.Abs(got.Grams-tc.wantGrams) > 1e-9 {
			t.Errorf("%g kg: got %g g, %d meals, %g kg, %g kg CO2e, want %+v", tc.kg, got.Grams, got.WholeMeals(), got.Kg(), got.CO2eKg(), tc)
		}
	}
	// A tenth of a kilogram is no binary number: 42 of them are ten meals all the same.
	var sum impact.Impact
	for range 42 {
		sum = sum.Plus(f.Of(0.1, "kg"))
	}
	if sum.WholeMeals() != 10 || sum.Kg() != 4.2 {
		t.Errorf("42 times 0.1 kg: got %d meals, %g kg, want 10 and 4.2", sum.WholeMeals(), sum.Kg())
	}
	if got := f.Of(5, "portions").Plus(f.Of(1, "kg")); got.EstimatedKg() != 2.1 || got.Kg() != 3.1 {
		t.Errorf("5 portions and 1 kg: got %g kg, %g of it estimated, want 3.1 and 2.1", got.Kg(), got.EstimatedKg())
	}
}

var someUnit = rapid.OneOf(rapid.SampledFrom([]string{"kg", "lbs", "T", "boxes", "litres", "pieces", "pallet", "hamper"}), rapid.String())

// TestPropertyNeverOdd: whatever quantity and unit, alone and in sums, no number
// is negative, infinite or none.
func TestPropertyNeverOdd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var sum impact.Impact
		for range rapid.IntRange(1, 20).Draw(t, "how many") {
			q := rapid.OneOf(rapid.Float64(), rapid.SampledFrom([]float64{math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64})).Draw(t, "quantity")
			sum = sum.Plus(impact.Default().Of(q, someUnit.Draw(t, "unit")))
		}
		for what, x := range map[string]float64{
			"grams": sum.Grams, "estimated": sum.Estimated, "meals": sum.Meals, "co2e": sum.CO2e, "kg": sum.Kg(), "whole meals": float64(sum.WholeMeals()),
		} {
			if !(x >= 0) || math.IsInf(x, 0) {
				t.Fatalf("%s is %g", what, x)
			}
		}
		if sum.Estimated > sum.Grams {
			t.Fatalf("%g g of %g are estimated", sum.Estimated, sum.Grams)
		}
	})
}

// TestPropertyMonotone: more food never comes to less.
func TestPropertyMonotone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		unit := someUnit.Draw(t, "unit")
		a := rapid.Float64Range(0, math.MaxFloat64).Draw(t, "a")
		b := rapid.Float64Range(a, math.MaxFloat64).Draw(t, "b")
		less, more := impact.Default().Of(a, unit), impact.Default().Of(b, unit)
		if more.Grams < less.Grams || more.Meals < less.Meals || more.CO2e < less.CO2e || more.WholeMeals() < less.WholeMeals() || more.Kg() < less.Kg() {
			t.Fatalf("%g %s come to %+v, and %g to %+v", a, unit, less, b, more)
		}
	})
}

// TestPropertyAdditive: a sum may be taken before or after, which is why the
// database may add quantities up by unit.
func TestPropertyAdditive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		unit := someUnit.Draw(t, "unit")
		var sum impact.Impact
		total := 0.0
		for _, q := range rapid.SliceOfN(rapid.Float64Range(0.1, 1e6), 1, 50).Draw(t, "quantities") {
			total += q
			sum = sum.Plus(impact.Default().Of(q, unit))
		}
		whole := impact.Default().Of(total, unit)
		near := func(a, b float64) bool { return math.Abs(a-b) <= 1e-9*max(a, b) }
		if !near(sum.Grams, whole.Grams) || !near(sum.Estimated, whole.Estimated) || !near(sum.Meals, whole.Meals) || !near(sum.CO2e, whole.CO2e) ||
			sum.Uncounted != whole.Uncounted || sum.FactorSet != whole.FactorSet {
			t.Fatalf("one by one %+v, at once %+v", sum, whole)
		}
	})
}
