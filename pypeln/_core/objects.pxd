"""Objects that are their class and their attributes: what encoder and decoder ask about their classes."""


# The name under which the receiver finds the class; None: its objects go to pickle.
cdef str name_of(object cls)

# The class of that name. Raises what looking it up raises, or LookupError: its objects are not plain.
cdef object class_of(str name)
