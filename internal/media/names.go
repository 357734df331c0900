package media

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"path"
	"regexp"
	"strings"
)

// Names. Inside, a file of the database's table media is
//
//	photos/<hash>-<letters>             in three sizes
//	certificates/<hash>-<letters>.pdf   or .jpg
//
// and outside a photo is /media/<hash>-<letters>[-<size>].jpg.
const (
	photos       = "photos/"
	certificates = "certificates/"
	public       = "/media/"
)

var (
	photoFile  = regexp.MustCompile(`^([0-9a-f]{64}-[a-z2-7]{8})(-320|-1280)?\.jpg$`)
	letters    = 8
	publicPath = regexp.MustCompile(`/media/([0-9a-f]{64}-[a-z2-7]{8})(?:-320|-1280)?\.jpg$`)
)

// newName is a name that was never used: the hash of what is written, and letters.
func newName(folder string, data []byte, extension string) (content, name string) {
	sum := sha256.Sum256(data)
	hash := hex.EncodeToString(sum[:])
	return folder + hash, folder + hash + "-" + strings.ToLower(rand.Text()[:letters]) + extension
}

// where is where a file is kept: no folder has too many.
func where(file string) string {
	folder, base := path.Split(file)
	return path.Join(folder, base[:2], base)
}

// filesOf are the places of all files that have a name.
func filesOf(name string) []string {
	if !strings.HasPrefix(name, photos) {
		return []string{where(name)}
	}
	var list []string
	for _, s := range sizes {
		list = append(list, where(name+s.suffix+".jpg"))
	}
	return list
}

// PhotoPath is the path at which a kept photo is served.
func PhotoPath(name string) string { return public + strings.TrimPrefix(name, photos) + ".jpg" }

// PhotoAt is the name of the photo that an address points to, if it looks like one
// of ours.
func PhotoAt(address string) (name string, ok bool) {
	m := publicPath.FindStringSubmatch(address)
	if m == nil {
		return "", false
	}
	return photos + m[1], true
}
