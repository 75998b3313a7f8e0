"""Files and identities: archives, encodings, Keras models, hashes."""
