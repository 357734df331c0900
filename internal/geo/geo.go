// Package geo measures the earth: distances, circles, and the boxes in which an
// index looks for them. It is pure.
package geo

import "math"

const (
	// earthRadiusKm is the mean radius of the earth (IUGG).
	earthRadiusKm = 6371.0088
	// MaxRadiusKm is half of the way around it: everywhere.
	MaxRadiusKm = 20_016
	// kmPerDegree is less than any degree of latitude is long, so that a box made
	// with it is never too small.
	kmPerDegree = 110.5
)

// Area is a circle on the earth.
type Area struct {
	Lat      float64 `json:"lat"` // degrees
	Lng      float64 `json:"lng"`
	RadiusKm float64 `json:"radiusKm"`
}

// Distance is the great-circle distance in kilometres between two places in
// degrees, by the haversine formula.
func Distance(lat1, lng1, lat2, lng2 float64) float64 {
	rad := math.Pi / 180
	dLat, dLng := (lat2-lat1)*rad, (lng2-lng1)*rad
	h := math.Pow(math.Sin(dLat/2), 2) + math.Cos(lat1*rad)*math.Cos(lat2*rad)*math.Pow(math.Sin(dLng/2), 2)
	return 2 * earthRadiusKm * math.Asin(math.Min(1, math.Sqrt(h)))
}

// Contains says whether a place is in the area; its border is part of it.
func (a Area) Contains(lat, lng float64) bool {
	return Distance(a.Lat, a.Lng, lat, lng) <= a.RadiusKm
}

// Box is a rectangle of degrees that does not cross the 180th meridian.
type Box struct{ MinLat, MinLng, MaxLat, MaxLng float64 }

// Boxes are one or two boxes that hold the whole area: the coarse cut of an index.
func (a Area) Boxes() []Box {
	band := a.RadiusKm/kmPerDegree + 1e-6
	south, north := math.Max(-90, a.Lat-band), math.Min(90, a.Lat+band)
	// The meridians that touch a circle of angle r around latitude p are asin(sin r
	// / cos p) away from its centre, if it holds no pole.
	reach, parallel := math.Sin(band*math.Pi/180), math.Cos(a.Lat*math.Pi/180)
	if south == -90 || north == 90 || band >= 90 || reach >= parallel {
		return []Box{{south, -180, north, 180}}
	}
	half := math.Asin(reach/parallel)*180/math.Pi + 1e-6
	west, east := a.Lng-half, a.Lng+half
	switch {
	case half >= 180:
		return []Box{{south, -180, north, 180}}
	case west < -180:
		return []Box{{south, -180, north, east}, {south, west + 360, north, 180}}
	case east > 180:
		return []Box{{south, west, north, 180}, {south, -180, north, east - 360}}
	}
	return []Box{{south, west, north, east}}
}
