package httpapi_test

import (
	"net/http"
	"strings"

	"larder/api"
	"larder/internal/testkit"
)

const (
	transition = api.CodeInvalidTransition
	nobodysID  = "00000000-0000-4000-8000-000000000000"
)

var (
	_ = cases("POST /donations", map[string]tc{
		"least": {as: "donor", body: testkit.Draft(nil), status: 201},
		"all fields": {as: "admin", body: testkit.Draft(map[string]any{
			"quantity": " 2.50 ", "preparationTime": "2026-01-01T08:00", "description": `5 < 6 & "so on"`, "address": "Street 1",
			"specialInstructions": "ring twice", "hygiene": `{ "gloves": true }`, "imageUrls": []string{"https://example.org/a.jpg"},
			"donorName": "Shown <so>", "donorId": "ignored", "donorTrustScore": map[string]any{"any": 1},
		}), status: 201},
		"empty and null options": {as: "donor", body: testkit.Draft(map[string]any{
			"description": "", "address": "", "specialInstructions": "", "hygiene": nil, "imageUrls": nil, "donorName": "",
		}), status: 201},
		"every fault": {as: "donor", body: `{"name":" ","foodType":"x","quantity":1,"unit":"x","latitude":0,"longitude":0,
			"expiryTime":"2001-01-01","imageUrls":["ftp://x"],"hygiene":"[]"}`, status: 400, code: invalid},
		"nothing": {as: "donor", body: `{}`, status: 400, code: invalid},
		"cooked":  {as: "donor", body: testkit.Draft(map[string]any{"foodType": "Cooked meal", "expiryTime": soon()}), status: 400, code: invalid},
		"NGO":     {as: "ngo", body: testkit.Draft(nil), status: 403, code: api.CodeWrongRole},
		"nobody":  {body: testkit.Draft(nil), status: 401, code: api.CodeTokenMissing},
	})
	_ = cases("GET /donations/{id}", map[string]tc{
		"available": {as: "rival", status: 200},
		"delivered": {as: "rival", path: "/donations/{DELIVERED}", status: 200},
		"cancelled": {as: "rival", path: "/donations/{CANCELLED}", status: 200},
		"expired":   {as: "rival", path: "/donations/{EXPIRED}", status: 200},
		"in capitals": {
			as: "rival", path: "/donations/" + strings.ToUpper("00000000-0000-4000-8000-00000000000a"),
			status: 404, code: api.CodeDonationNotFound,
		},
		"unknown":     {as: "rival", path: "/donations/" + nobodysID, status: 404, code: api.CodeDonationNotFound},
		"no UUID":     {as: "rival", path: "/donations/1", status: 404, code: api.CodeDonationNotFound},
		"URN of one":  {as: "rival", path: "/donations/urn:uuid:" + nobodysID, status: 404, code: api.CodeDonationNotFound},
		"without -":   {as: "rival", path: "/donations/" + strings.ReplaceAll(nobodysID, "-", ""), status: 404, code: api.CodeDonationNotFound},
		"a long one":  {as: "rival", path: "/donations/" + strings.Repeat("9", 101), status: 404, code: api.CodeDonationNotFound},
		"percent NUL": {as: "rival", path: "/donations/%00", status: 404, code: api.CodeDonationNotFound},
		"nobody":      {status: 401, code: api.CodeTokenMissing},
	})
	_ = cases("GET /donations/{id}/history", map[string]tc{
		"donor":     {as: "donor", path: "/donations/{DELIVERED}/history", status: 200},
		"claimer":   {as: "ngo", path: "/donations/{CLAIMED}/history", status: 200},
		"carrier":   {as: "carrier", path: "/donations/{PICKED_UP}/history", status: 200},
		"admin":     {as: "admin", path: "/donations/{CANCELLED}/history", status: 200},
		"no party":  {as: "rival", path: "/donations/{CLAIMED}/history", status: 403, code: api.CodeNotYours},
		"unknown":   {as: "donor", path: "/donations/" + nobodysID + "/history", status: 404, code: api.CodeDonationNotFound},
		"no UUID":   {as: "donor", path: "/donations/x/history", status: 404, code: api.CodeDonationNotFound},
		"nobody":    {status: 401, code: api.CodeTokenMissing},
		"suspended": {as: "suspended", status: 403, code: api.CodeAccountSuspended},
	})
	_ = cases("PATCH /donations/{id}/claim", map[string]tc{
		"no body":           {as: "ngo", status: 200},
		"with a time":       {as: "ngo", body: `{"estimatedPickupTime":"2030-05-06T07:08:09.1239+02:00"}`, status: 200},
		"empty body":        {as: "ngo", body: `{}`, status: 200},
		"claimed":           {as: "rival", path: "/donations/{CLAIMED}/claim", status: 400, code: api.CodeNotAvailable},
		"expired":           {as: "rival", path: "/donations/{EXPIRED}/claim", status: 400, code: api.CodeExpired},
		"too much":          {as: "ngo", path: "/donations/{BIG}/claim", status: 400, code: api.CodeOverCapacity},
		"another unit":      {as: "ngo", path: "/donations/{LITRES}/claim", status: 400, code: api.CodeUnitMismatch},
		"unverified":        {as: "unverified", status: 403, code: api.CodeNGONotVerified},
		"donor":             {as: "donor", status: 403, code: api.CodeWrongRole},
		"volunteer":         {as: "volunteer", status: 403, code: api.CodeWrongRole},
		"admin":             {as: "admin", status: 403, code: api.CodeWrongRole},
		"suspended":         {as: "suspended", status: 403, code: api.CodeAccountSuspended},
		"nobody":            {status: 401, code: api.CodeTokenMissing},
		"unknown":           {as: "ngo", path: "/donations/" + nobodysID + "/claim", status: 404, code: api.CodeDonationNotFound},
		"no UUID":           {as: "ngo", path: "/donations/x/claim", status: 404, code: api.CodeDonationNotFound},
		"time that is none": {as: "ngo", body: `{"estimatedPickupTime":"tomorrow"}`, status: 400, code: invalid},
		"year 10000":        {as: "ngo", body: `{"estimatedPickupTime":"9999-12-31T23:59:59-01:00"}`, status: 400, code: invalid},
		"unknown field":     {as: "ngo", body: `{"by":"me"}`, status: 400, code: invalid},
	})
	_ = cases("PATCH /donations/{id}/release", map[string]tc{
		"claimer":      {as: "ngo", path: "/donations/{CLAIMED}/release", status: 200},
		"admin":        {as: "admin", path: "/donations/{CLAIMED}/release", body: `{"reason":"no car"}`, status: 200},
		"another NGO":  {as: "rival", path: "/donations/{CLAIMED}/release", status: 403, code: api.CodeNotYours},
		"donor":        {as: "donor", path: "/donations/{CLAIMED}/release", status: 403, code: api.CodeWrongRole},
		"never taken":  {as: "ngo", path: "/donations/{AVAILABLE}/release", status: 400, code: transition},
		"picked up":    {as: "ngo", path: "/donations/{PICKED_UP}/release", status: 400, code: transition},
		"nobody":       {path: "/donations/{CLAIMED}/release", status: 401, code: api.CodeTokenMissing},
		"unknown":      {as: "ngo", path: "/donations/" + nobodysID + "/release", status: 404, code: api.CodeDonationNotFound},
		"long reason":  {as: "ngo", path: "/donations/{CLAIMED}/release", body: map[string]string{"reason": strings.Repeat("x", 501)}, status: 400, code: invalid},
		"body is null": {as: "ngo", path: "/donations/{CLAIMED}/release", body: `null`, status: 400, code: invalid},
	})
	_ = cases("PATCH /donations/{id}/status", map[string]tc{
		"pick up by a volunteer": {as: "volunteer", path: "/donations/{CLAIMED}/status", body: `{"status":"PICKED_UP"}`, status: 200},
		"pick up by the claimer": {as: "ngo", path: "/donations/{CLAIMED}/status", body: `{"status":"PICKED_UP"}`, status: 200},
		"pick up too early":      {as: "volunteer", path: "/donations/{AVAILABLE}/status", body: `{"status":"PICKED_UP"}`, status: 400, code: transition},
		"already carried":        {as: "volunteer", path: "/donations/{PICKED_UP}/status", body: `{"status":"PICKED_UP"}`, status: 400, code: transition},
		"pick up, another NGO":   {as: "rival", path: "/donations/{CLAIMED}/status", body: `{"status":"PICKED_UP"}`, status: 403, code: api.CodeNotYours},
		"deliver":                {as: "carrier", path: "/donations/{PICKED_UP}/status", body: `{"status":"DELIVERED"}`, status: 200},
		"claim":                  {as: "ngo", path: "/donations/{AVAILABLE}/status", body: `{"status":"CLAIMED"}`, status: 200},
		"release":                {as: "ngo", path: "/donations/{CLAIMED}/status", body: `{"status":"AVAILABLE"}`, status: 200},
		"cancel":                 {as: "donor", path: "/donations/{CLAIMED}/status", body: `{"status":"CANCELLED","reason":"spoilt"}`, status: 200},
		"cancel without why":     {as: "donor", path: "/donations/{CLAIMED}/status", body: `{"status":"CANCELLED"}`, status: 400, code: invalid},
		"expire":                 {as: "admin", path: "/donations/{AVAILABLE}/status", body: `{"status":"EXPIRED"}`, status: 403, code: api.CodeWrongRole},
		"after the end":          {as: "ngo", path: "/donations/{DELIVERED}/status", body: `{"status":"AVAILABLE"}`, status: 400, code: transition},
		"no such status":         {as: "ngo", path: "/donations/{CLAIMED}/status", body: `{"status":"LOST"}`, status: 400, code: invalid},
		"nothing":                {as: "ngo", path: "/donations/{CLAIMED}/status", body: `{}`, status: 400, code: invalid},
		"no body":                {as: "ngo", path: "/donations/{CLAIMED}/status", status: 400, code: badRequest},
		"nobody":                 {path: "/donations/{CLAIMED}/status", body: `{"status":"PICKED_UP"}`, status: 401, code: api.CodeTokenMissing},
		"unknown":                {as: "ngo", path: "/donations/" + nobodysID + "/status", body: `{"status":"PICKED_UP"}`, status: 404, code: api.CodeDonationNotFound},
	})
	_ = cases("PATCH /donations/{id}/deliver", map[string]tc{
		"carrier":           {as: "carrier", path: "/donations/{PICKED_UP}/deliver", status: 200},
		"claimer":           {as: "ngo", path: "/donations/{PICKED_UP}/deliver", status: 200},
		"again":             {as: "carrier", path: "/donations/{DELIVERED}/deliver", status: 200},
		"again by another":  {as: "ngo", path: "/donations/{DELIVERED}/deliver", status: 400, code: transition},
		"too early":         {as: "ngo", path: "/donations/{CLAIMED}/deliver", status: 400, code: transition},
		"another volunteer": {as: "volunteer", path: "/donations/{PICKED_UP}/deliver", status: 403, code: api.CodeNotYours},
		"another NGO":       {as: "rival", path: "/donations/{PICKED_UP}/deliver", status: 403, code: api.CodeNotYours},
		"donor":             {as: "donor", path: "/donations/{PICKED_UP}/deliver", status: 403, code: api.CodeWrongRole},
		"nobody":            {path: "/donations/{PICKED_UP}/deliver", status: 401, code: api.CodeTokenMissing},
		"unknown":           {as: "ngo", path: "/donations/" + nobodysID + "/deliver", status: 404, code: api.CodeDonationNotFound},
	})
	_ = cases("PATCH /donations/{id}/cancel", map[string]tc{
		"donor":         {as: "donor", path: "/donations/{AVAILABLE}/cancel", body: `{"reason":"fell < down"}`, status: 200},
		"admin":         {as: "admin", path: "/donations/{CLAIMED}/cancel", body: `{"reason":"unsafe"}`, status: 200},
		"without why":   {as: "donor", path: "/donations/{AVAILABLE}/cancel", status: 400, code: invalid},
		"blank why":     {as: "donor", path: "/donations/{AVAILABLE}/cancel", body: `{"reason":" "}`, status: 400, code: invalid},
		"another donor": {as: "stranger", path: "/donations/{AVAILABLE}/cancel", body: `{"reason":"x"}`, status: 403, code: api.CodeNotYours},
		"NGO":           {as: "ngo", path: "/donations/{CLAIMED}/cancel", body: `{"reason":"x"}`, status: 403, code: api.CodeWrongRole},
		"picked up":     {as: "donor", path: "/donations/{PICKED_UP}/cancel", body: `{"reason":"x"}`, status: 400, code: transition},
		"twice":         {as: "donor", path: "/donations/{CANCELLED}/cancel", body: `{"reason":"x"}`, status: 400, code: transition},
		"expired":       {as: "donor", path: "/donations/{EXPIRED}/cancel", body: `{"reason":"x"}`, status: 400, code: transition},
		"nobody":        {path: "/donations/{AVAILABLE}/cancel", body: `{"reason":"x"}`, status: 401, code: api.CodeTokenMissing},
		"unknown":       {as: "donor", path: "/donations/" + nobodysID + "/cancel", body: `{"reason":"x"}`, status: 404, code: api.CodeDonationNotFound},
	})
	_ = cases("GET /donations", map[string]tc{
		"nothing there":          {path: "?latitude=80&longitude=0&radius=1", status: 200},
		"any token":              {path: "?latitude=80&longitude=0", header: http.Header{"Authorization": {"Bearer x"}}, status: 200},
		"unknown parameter":      {path: "?latitude=80&longitude=0&colour=red&token=x", status: 200},
		"latitude alone":         {path: "?latitude=1", status: 400, code: invalid},
		"longitude alone":        {path: "?longitude=1", status: 400, code: invalid},
		"latitude of text":       {path: "?latitude=north&longitude=0", status: 400, code: invalid},
		"latitude NaN":           {path: "?latitude=NaN&longitude=0", status: 400, code: invalid},
		"longitude too far":      {path: "?latitude=0&longitude=180.5", status: 400, code: invalid},
		"radius 0":               {path: "?latitude=0&longitude=0&radius=0", status: 400, code: invalid},
		"radius negative":        {path: "?latitude=0&longitude=0&radius=-5", status: 400, code: invalid},
		"radius without a place": {path: "?radius=wide", status: 400, code: invalid},
		"radius infinite":        {path: "?latitude=0&longitude=0&radius=Inf", status: 400, code: invalid},
		"limit 0":                {path: "?limit=0", status: 400, code: invalid},
		"limit of text":          {path: "?limit=ten", status: 400, code: invalid},
		"limit of 1.5":           {path: "?limit=1.5", status: 400, code: invalid},
		"limit in hex":           {path: "?limit=0x10p0", status: 400, code: invalid},
		"limit too much":         {path: "?limit=1001", status: 400, code: invalid},
		"a cursor that is none":  {path: "?after=nowhere", status: 400, code: badRequest},
	})
	_ = cases("GET /events", map[string]tc{
		"limit 0":          {as: "donor", path: "?limit=0", status: 400, code: invalid},
		"limit of text":    {as: "donor", path: "?limit=ten", status: 400, code: invalid},
		"limit too much":   {as: "donor", path: "?limit=501", status: 400, code: invalid},
		"no position":      {as: "donor", path: "?after=yesterday", status: 200},
		"another epoch":    {as: "donor", path: "?after=" + testkit.OtherEpoch, status: 200},
		"much too long":    {as: "donor", path: "?after=" + strings.Repeat("x", 61), status: 400, code: invalid},
		"nobody":           {status: 401, code: api.CodeTokenMissing},
		"suspended":        {as: "suspended", status: 403, code: api.CodeAccountSuspended},
		"one from the top": {as: "donor", path: "?limit=1", status: 200},
	})
	_ = cases("GET /health", map[string]tc{"up": {status: 200}})
	_ = cases("GET /livez", map[string]tc{"up": {status: 200}})
	_ = cases("GET /readyz", map[string]tc{"up": {status: 200}})
)
