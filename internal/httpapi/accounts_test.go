package httpapi_test

import (
	"net/http"
	"strings"

	"larder/api"
	"larder/internal/testkit"
)

const badRequest, invalid = api.CodeBadRequest, api.CodeValidation

func with(base map[string]any, fields map[string]any) map[string]any {
	out := map[string]any{}
	for _, m := range []map[string]any{base, fields} {
		for k, v := range m {
			if out[k] = v; v == absent {
				delete(out, k)
			}
		}
	}
	return out
}

// absent leaves a field out.
const absent = "\x00absent"

var newcomer = map[string]any{"email": "new@example.org", "password": "secret", "name": "New", "role": "DONOR"}

var (
	_ = cases("POST /auth/register", map[string]tc{
		"donor": {body: newcomer, status: 201},
		"NGO with all fields": {body: with(newcomer, map[string]any{
			"email": "all@example.org", "role": "NGO", "phone": "+49 30 1", "organizationName": "Table & <Co>",
			"organizationType": "food bank", "address": "Street 1",
		}), status: 201},
		"volunteer with empty texts": {body: with(newcomer, map[string]any{
			"email": "empty@example.org", "role": "VOLUNTEER", "phone": "", "organizationName": "", "address": "",
		}), status: 201},
		"certificate elsewhere": {body: with(newcomer, map[string]any{
			"email": "paper@example.org", "role": "NGO", "certificateUrl": "https://example.org/paper.pdf?page=1",
		}), status: 201},
		"certificate that runs":    {body: with(newcomer, map[string]any{"role": "NGO", "certificateUrl": "javascript:alert(1)"}), status: 400, code: invalid},
		"certificate of 2,049":     {body: with(newcomer, map[string]any{"certificateUrl": "https://" + strings.Repeat("x", 2041)}), status: 400, code: invalid},
		"admin":                    {body: with(newcomer, map[string]any{"role": "ADMIN"}), status: 403, code: api.CodeWrongRole},
		"taken in another case":    {body: with(newcomer, map[string]any{"email": "DONOR@Example.org"}), status: 409, code: api.CodeEmailTaken},
		"unknown role":             {body: with(newcomer, map[string]any{"role": "SYSTEM"}), status: 400, code: invalid},
		"short password":           {body: with(newcomer, map[string]any{"password": "12345"}), status: 400, code: invalid},
		"password of the longest":  {body: with(newcomer, map[string]any{"email": "l@example.org", "password": strings.Repeat("x", 256)}), status: 201},
		"password too long":        {body: with(newcomer, map[string]any{"password": strings.Repeat("x", 257)}), status: 400, code: invalid},
		"long in bytes":            {body: with(newcomer, map[string]any{"password": strings.Repeat("é", 129)}), status: 400, code: invalid},
		"no e-mail":                {body: with(newcomer, map[string]any{"email": absent}), status: 400, code: invalid},
		"no address":               {body: with(newcomer, map[string]any{"email": "new at example.org"}), status: 400, code: invalid},
		"blank name":               {body: with(newcomer, map[string]any{"name": " \t"}), status: 400, code: invalid},
		"several faults":           {body: `{"email":"x","password":"","role":"KING","extra":1}`, status: 400, code: invalid},
		"password is not repeated": {body: with(newcomer, map[string]any{"password": 123456789}), status: 400, code: invalid},
		"empty body":               {body: "", status: 400, code: badRequest},
	})
	_ = cases("POST /auth/login", map[string]tc{
		"good":              {body: map[string]string{"email": " Donor@EXAMPLE.org ", "password": testkit.Password}, status: 201},
		"wrong password":    {body: map[string]string{"email": "donor@example.org", "password": "wrong"}, status: 401, code: api.CodeBadCredentials},
		"unknown":           {body: map[string]string{"email": "who@example.org", "password": "wrong"}, status: 401, code: api.CodeBadCredentials},
		"suspended":         {body: map[string]string{"email": "suspended@example.org", "password": testkit.Password}, status: 403, code: api.CodeAccountSuspended},
		"suspended, wrong":  {body: map[string]string{"email": "suspended@example.org", "password": "wrong"}, status: 401, code: api.CodeBadCredentials},
		"no password":       {body: `{"email":"donor@example.org"}`, status: 400, code: invalid},
		"null":              {body: `null`, status: 400, code: invalid},
		"list":              {body: `[]`, status: 400, code: invalid},
		"broken":            {body: `{"email":`, status: 400, code: badRequest},
		"more after it":     {body: `{"email":"a@b.c","password":"x"} {}`, status: 400, code: badRequest},
		"another field":     {body: `{"email":"a@b.c","password":"x","admin":true}`, status: 400, code: invalid},
		"field in capitals": {body: `{"Email":"a@b.c","password":"x"}`, status: 400, code: invalid},
		"form": {
			body: "email=a@b.c&password=x", header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}},
			status: 415, code: api.CodeUnsupportedMedia,
		},
		"text": {
			body: `{"email":"a@b.c","password":"x"}`, header: http.Header{"Content-Type": {"text/plain"}},
			status: 415, code: api.CodeUnsupportedMedia,
		},
	})
	_ = cases("GET /auth/profile", map[string]tc{
		"donor":     {as: "stranger", status: 200},
		"NGO":       {as: "unverified", status: 200},
		"nobody":    {status: 401, code: api.CodeTokenMissing},
		"suspended": {as: "suspended", status: 403, code: api.CodeAccountSuspended},
	})
	_ = cases("PATCH /auth/profile", map[string]tc{
		"all fields": {as: "volunteer", body: map[string]any{
			"name": "V", "phone": "1", "organizationName": "O", "organizationType": "T", "address": "A", "latitude": -90, "longitude": 180,
			"dailyIntakeCapacity": 0, "capacityUnit": "kg", "vehicleType": "bike", "vehicleNumber": "B 1", "isAvailable": true,
		}, status: 200},
		"nothing":           {as: "carrier", body: `{}`, status: 200},
		"emptied":           {as: "carrier", body: `{"phone":"","address":""}`, status: 200},
		"blank name":        {as: "carrier", body: `{"name":"  "}`, status: 400, code: invalid},
		"empty name":        {as: "carrier", body: `{"name":""}`, status: 400, code: invalid},
		"latitude too far":  {as: "carrier", body: `{"latitude":90.01}`, status: 400, code: invalid},
		"capacity negative": {as: "carrier", body: `{"dailyIntakeCapacity":-1}`, status: 400, code: invalid},
		"role":              {as: "carrier", body: `{"role":"ADMIN"}`, status: 400, code: invalid},
		"text for a bool":   {as: "carrier", body: `{"isAvailable":"yes"}`, status: 400, code: invalid},
		"nobody":            {body: `{}`, status: 401, code: api.CodeTokenMissing},
	})
	_ = cases("GET /admin/pending-ngos", map[string]tc{
		"admin":  {as: "admin", status: 200},
		"donor":  {as: "donor", status: 403, code: api.CodeWrongRole},
		"nobody": {status: 401, code: api.CodeTokenMissing},
	})
	_ = cases("GET /admin/users", map[string]tc{
		"admin":  {as: "admin", status: 200},
		"NGO":    {as: "ngo", status: 403, code: api.CodeWrongRole},
		"nobody": {status: 401, code: api.CodeTokenMissing},
	})
	_ = cases("PATCH /admin/verify/{id}", map[string]tc{
		"NGO again": {as: "admin", path: "/admin/verify/{ngo}", status: 200},
		"donor":     {as: "admin", path: "/admin/verify/{donor}", status: 400, code: badRequest},
		"unknown":   {as: "admin", path: "/admin/verify/00000000-0000-4000-8000-000000000000", status: 404, code: api.CodeUserNotFound},
		"no id":     {as: "admin", path: "/admin/verify/me", status: 404, code: api.CodeUserNotFound},
		"by an NGO": {as: "unverified", path: "/admin/verify/{unverified}", status: 403, code: api.CodeWrongRole},
		"nobody":    {path: "/admin/verify/{ngo}", status: 401, code: api.CodeTokenMissing},
	})
	_ = cases("PATCH /admin/users/{id}/toggle-status", map[string]tc{
		"restores":       {as: "admin", path: "/admin/users/{banned}/toggle-status", status: 200},
		"an admin":       {as: "admin", path: "/admin/users/{admin}/toggle-status", status: 400, code: badRequest},
		"unknown":        {as: "admin", path: "/admin/users/00000000-0000-4000-8000-000000000000/toggle-status", status: 404, code: api.CodeUserNotFound},
		"by a donor":     {as: "donor", path: "/admin/users/{ngo}/toggle-status", status: 403, code: api.CodeWrongRole},
		"nobody":         {path: "/admin/users/{ngo}/toggle-status", status: 401, code: api.CodeTokenMissing},
		"a very long id": {as: "admin", path: "/admin/users/" + strings.Repeat("x", 2000) + "/toggle-status", status: 404, code: api.CodeUserNotFound},
	})
)
