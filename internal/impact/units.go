package impact

import "strings"

// spelling is what one of a unit weighs, under all its names in the singular.
type spelling struct {
	grams float64
	names string // separated by commas
}

// weights are exact: the SI units, and the avoirdupois pound as it has been defined
// since 1959 with what hangs on it.
var weights = []spelling{
	{0.001, "mg, milligram, milligramme"},
	{1, "g, gm, gr, gram, gramme"},
	{1000, "kg, kgm, kilo, kilogram, kilogramme"},
	{100_000, "quintal"},
	{1_000_000, "t, mt, tonne, metric ton, metric tonne"},
	{28.349523125, "oz, ounce"},
	{453.59237, "lb, pound"},
	{6350.29318, "stone"},
}

// estimates are what units that are no weight are taken to weigh. Volumes count as
// water, and where two countries differ the smaller measure holds. The rest is our
// own guess, on the low side: no source holds for all food, and a report that is
// too modest misleads nobody.
var estimates = []spelling{
	{907_184.74, "ton, short ton"}, // three things are called so; this is the smallest
	{1, "ml, cc, millilitre, milliliter"},
	{10, "cl, centilitre, centiliter"},
	{100, "dl, decilitre, deciliter"},
	{1000, "l, lt, ltr, litre, liter"},
	{29.5735295625, "fl oz, fluid ounce"},
	{236.5882365, "cup"},
	{473.176473, "pint, pt"},
	{946.352946, "quart, qt"},
	{3785.411784, "gallon, gal"},
	{100, "piece, pc, item, unit, ea, each, no, count"},
	{1200, "dozen, doz"},
	{150, "sandwich, roti"},
	{250, "glass"},
	{300, "bowl"},
	{400, "packet, pack, pkt, package, can, tin, jar"},
	{500, "loaf, loave"},
	{750, "bottle"},
	{1000, "bag, carton, container, tub"},
	{2000, "basket"},
	{2500, "tray"},
	{3000, "box, pot"},
	{5000, "case, bucket"},
	{8000, "crate"},
	{20_000, "sack"},
	{300_000, "pallet"},
}

// meals are units that are a meal by themselves.
const meals = "meal, portion, serving, plate, helping, dish, thali, lunch, dinner, breakfast"

// unitsOf is the table of all units where a meal has so many grams.
func unitsOf(mealGrams float64) map[string]measure {
	table := map[string]measure{}
	add := func(s spelling, estimate bool) {
		for name := range strings.SplitSeq(s.names, ", ") {
			table[name] = measure{s.grams, estimate}
		}
	}
	for _, s := range weights {
		add(s, false)
	}
	for _, s := range estimates {
		add(s, true)
	}
	add(spelling{mealGrams, meals}, true)
	return table
}

var clean = strings.NewReplacer(".", "", "(s)", "", "(es)", "")

func (f Factors) lookUp(unit string) (m measure, known bool) {
	name := strings.Join(strings.Fields(clean.Replace(strings.ToLower(unit))), " ")
	for _, ending := range []string{"", "s", "es"} {
		if m, known = f.units[strings.TrimSuffix(name, ending)]; known {
			return m, true
		}
	}
	return m, false
}
