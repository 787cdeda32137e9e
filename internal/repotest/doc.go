// Package repotest holds tests of the repository itself: which way imports
// point, that documents say what the code does, and that nothing is left over.
package repotest
