"""SQLAlchemy repositories, the dialect hooks and the migrations."""
