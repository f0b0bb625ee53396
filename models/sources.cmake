# Builders of known nets; a new file of nets is a line here and one in the tables of nets.c.
set(MODELS_SOURCES
    models/char_nets.c
    models/cifar_nets.c
    models/net.c
    models/nets.c)
