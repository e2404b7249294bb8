// Package advert is what the codecs of all classes have in common: entries in
// the ADVERT blocks of a frame, one block after the other, each with tables of
// its own that its entries define and refer to, and the fields that an entry may
// end with. What is in a row, and what an entry has besides, is for the codec of
// its class to know.
package advert
