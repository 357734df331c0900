package geo_test

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"larder/internal/geo"
)

// Every place in an area is in one of its boxes: the coarse cut leaves nothing
// out, at the poles and across the 180th meridian too.
func TestBoxesHoldTheArea(t *testing.T) {
	edge := func(limit float64) *rapid.Generator[float64] {
		return rapid.OneOf(rapid.Float64Range(-limit, limit), rapid.SampledFrom([]float64{-limit, -limit + 0.01, 0, limit - 0.01, limit}))
	}
	rapid.Check(t, func(t *rapid.T) {
		a := geo.Area{
			Lat: edge(90).Draw(t, "lat"), Lng: edge(180).Draw(t, "lng"),
			RadiusKm: rapid.OneOf(rapid.Float64Range(0.001, 50), rapid.Float64Range(1, geo.MaxRadiusKm)).Draw(t, "radius"),
		}
		boxes := a.Boxes()
		if len(boxes) < 1 || len(boxes) > 2 {
			t.Fatalf("%v: %d boxes", a, len(boxes))
		}
		for _, b := range boxes {
			if b.MinLat > b.MaxLat || b.MinLng > b.MaxLng || b.MinLat < -90 || b.MaxLat > 90 || b.MinLng < -180 || b.MaxLng > 180 {
				t.Fatalf("%v: box %v", a, b)
			}
		}
		// A place in a random direction, as far away as it may be or less.
		lat, lng := along(a.Lat, a.Lng, rapid.Float64Range(0, 2*math.Pi).Draw(t, "bearing"),
			a.RadiusKm*rapid.OneOf(rapid.Float64Range(0, 1), rapid.Just(0.999999)).Draw(t, "share"))
		if !a.Contains(lat, lng) {
			t.Skip("rounded out of the circle")
		}
		for _, b := range boxes {
			if lat >= b.MinLat && lat <= b.MaxLat && lng >= b.MinLng && lng <= b.MaxLng {
				return
			}
		}
		t.Fatalf("%v contains (%v, %v), its boxes %v do not", a, lat, lng, boxes)
	})
}

// along goes so far into a direction, on a sphere.
func along(lat, lng, bearing, km float64) (float64, float64) {
	rad := math.Pi / 180
	p, d := lat*rad, km/6371.0088
	q := math.Asin(math.Max(-1, math.Min(1, math.Sin(p)*math.Cos(d)+math.Cos(p)*math.Sin(d)*math.Cos(bearing))))
	l := lng*rad + math.Atan2(math.Sin(bearing)*math.Sin(d)*math.Cos(p), math.Cos(d)-math.Sin(p)*math.Sin(q))
	return q / rad, math.Remainder(l/rad, 360)
}

// Small areas have small boxes, or an index would be of no use.
func TestBoxesAreTight(t *testing.T) {
	for _, a := range []geo.Area{{Lat: 50, Lng: 14, RadiusKm: 10}, {Lat: -16.8, Lng: 179.99, RadiusKm: 10}, {Lat: 0, Lng: 0, RadiusKm: 100}} {
		area := 0.0
		for _, b := range a.Boxes() {
			area += (b.MaxLat - b.MinLat) * 111.2 * (b.MaxLng - b.MinLng) * 111.2 * math.Cos(a.Lat*math.Pi/180)
		}
		if want := 4 * a.RadiusKm * a.RadiusKm; area < want*0.99 || area > want*1.05 {
			t.Errorf("%v: boxes of %.0f km2, want a little more than %.0f", a, area, want)
		}
	}
}
