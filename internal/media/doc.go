// Package media brings files of the platform into the object store: whole or not at all, over cuts and in parts where they
// are large, with the type that their bytes have. It asks for nothing twice that is there, and decides nothing about when
// to try again.
package media
